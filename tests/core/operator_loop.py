"""The operator's shell, reduced to what can go wrong in it: a cache that is late, actions and writes that get lost, restarts.

Its own writes are in the cache at once, as in the real one.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

from core.builders import CONFIG, EVERYTHING
from core.simulator import Cluster, Kind
from finetune_api.names import ANNOTATION_STOPPED, NUDGE_TTL_SECONDS
from finetune_operator.core import observe
from finetune_operator.core.conditions import status_patch
from finetune_operator.core.model import (
    Action,
    Create,
    DeleteAttempt,
    DeleteSelf,
    Job,
    Manifest,
    Nudge,
    Observed,
    Plan,
    Stop,
)
from finetune_operator.core.plan import plan

KINDS: tuple[Kind, ...] = ("FineTuneJob", "Job", "Pod")
#: What goes wrong in a reconcile: the process dies before the actions, between them, before the status is written.
Mishap = Literal["nothing", "dies before acting", "dies while acting", "dies before writing", "write refused"]


class OperatorLoop:
    """One operator for the one job of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.created: list[str] = []
        self.restart()

    def restart(self) -> None:
        """A new process: everything is listed, and what was seen only in the watch is forgotten."""
        self._position = {kind: len(self.cluster.log[kind]) for kind in KINDS}
        self._cache = {kind: {raw["metadata"]["uid"]: raw for raw in self.cluster.all(kind)} for kind in KINDS}
        self._gone: dict[str, Manifest] = {}

    def deliver(self, kind: Kind, count: int = 1_000) -> None:
        """The next events of a watch."""
        for uid, raw in self.cluster.log[kind][self._position[kind] :][:count]:
            self._position[kind] += 1
            last = self._cache[kind].get(uid)
            if raw is None:
                self._cache[kind].pop(uid, None)
                if kind == "Pod" and last is not None:
                    self._gone[uid] = last
            elif last is None or _version(last) < _version(raw):
                self._cache[kind][uid] = raw

    def catch_up(self, late: Kind | None = None) -> None:
        """All watches deliver everything, but perhaps one."""
        for kind in KINDS:
            if kind != late:
                self.deliver(kind)

    def plan(self) -> tuple[Job, Plan] | None:
        """What it would do, None when it knows of no job."""
        if not self._cache["FineTuneJob"]:
            return None
        (raw,) = self._cache["FineTuneJob"].values()
        job = observe.job(raw)
        observed = self._observe(job, fresh=False)
        planned = plan(job, observed, self.cluster.now, CONFIG)
        for _ in range(2):
            if "fresh" in planned.needs:
                observed = replace(self._observe(job, fresh=True), references=observed.references)
            if "references" in planned.needs:
                observed = replace(observed, references=EVERYTHING)
            planned = plan(job, observed, self.cluster.now, CONFIG)
        assert not planned.needs, "what was asked for twice was looked up"
        return job, planned

    def reconcile(self, mishap: Mishap = "nothing") -> Plan | None:
        """Plan and carry it out."""
        made = self.plan()
        if mishap == "dies before acting":
            self.restart()
            return None
        if made is None:
            return None
        job, planned = made
        if mishap == "dies while acting":
            for action in planned.actions[:1]:
                # Everything goes out at once, so the last one may be all that arrives.
                self._do(Create(action.manifests[-1:]) if isinstance(action, Create) else action)
            self.restart()
            return planned
        for action in planned.actions:
            self._do(action)
        if mishap == "dies before writing":
            self.restart()
        elif mishap == "nothing":
            self._write(job, planned)
        return planned

    def _observe(self, job: Job, fresh: bool) -> Observed:
        cluster, cached = self.cluster, self._cache
        jobs = cluster.all("Job") if fresh else list(cached["Job"].values())
        pods = cluster.all("Pod") if fresh else list(cached["Pod"].values())
        seen, strays = observe.attempts(job, jobs, pods, (*self._gone.values(), *(cached["Pod"].values() if fresh else ())))
        return Observed(seen, strays, fresh=fresh)

    def _write(self, job: Job, planned: Plan) -> None:
        patch = status_patch(job.status, planned.status)
        current = self.cluster.all("FineTuneJob")
        if patch is None or not current or current[0]["metadata"]["resourceVersion"] != job.resource_version:
            return
        raw = copy.deepcopy(current[0])
        raw["status"] = merge_patch(raw.get("status", {}), patch["status"])
        self._put("FineTuneJob", raw)

    def _put(self, kind: Kind, raw: Manifest) -> None:
        written = self.cluster.put(kind, raw)
        self._cache[kind][written["metadata"]["uid"]] = written

    def _do(self, action: Action) -> None:
        cluster = self.cluster
        if isinstance(action, Create):
            for manifest in action.manifests:
                self._create(manifest)
            return
        if isinstance(action, DeleteSelf):
            for kind in ("FineTuneJob", "Job"):
                for raw in cluster.all(kind):
                    cluster.drop(kind, raw["metadata"]["name"])
            return
        found = cluster.objects.get(("Job", action.name))
        if found is None or found["metadata"]["uid"] != action.uid:
            return
        if isinstance(action, DeleteAttempt):
            cluster.delete_job(action.name)
            return
        job = copy.deepcopy(found)
        if isinstance(action, Stop):
            job["spec"]["suspend"] = True
            job["metadata"]["annotations"][ANNOTATION_STOPPED] = action.reason
        if isinstance(action, Nudge):
            job["spec"]["ttlSecondsAfterFinished"] = NUDGE_TTL_SECONDS + action.count
        self._put("Job", job)

    def _create(self, manifest: Manifest) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if (kind, name) in self.cluster.objects:
            return
        if kind == "Job":
            self._put(kind, copy.deepcopy(manifest))
            self.created.append(name)
        else:
            self.cluster.put(kind, copy.deepcopy(manifest))


def _version(raw: Manifest) -> int:
    return int(raw["metadata"]["resourceVersion"])


def merge_patch(old: Manifest, patch: Manifest) -> Manifest:
    """A JSON merge patch (RFC 7396)."""
    merged = {key: value for key, value in old.items() if key not in patch}
    for key, value in patch.items():
        if isinstance(value, dict):
            before = old.get(key)
            merged[key] = merge_patch(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            merged[key] = value
    return merged
