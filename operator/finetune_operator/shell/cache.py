"""What the watches showed: FineTuneJobs with the Jobs and pods that carry their name, as raw objects.

Three things write here: watch events, lists, and the API server's answers to the operator's own writes. They arrive in any order,
so two rules decide, both by resourceVersion, which orders all states of one kind:

- A state is taken only if it is newer than the one held.
- An object that is not held is taken from a list or an answer only if that is newer than everything the watch of its namespace
  has shown. Otherwise the watch is ahead: it has shown the object's end already, or is about to show the object itself.

So an answer that overtakes its watch event is used at once (nothing is created twice), and none brings back what is gone. kopf
delivers no end for what vanished while its watch was interrupted (410 Gone): lists remove that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from finetune_api.names import LABEL_ATTEMPT, LABEL_JOB
from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.kube import Listed, version_of
from finetune_operator.shell.resources import FINETUNE_JOBS, JOBS, PODS, Resource


@dataclass
class Family:
    """A FineTuneJob and what carries its name.

    Attributes:
        job: None while only children are known.
        jobs, pods: by uid.
        gone: pods by uid that vanished after they had said how they ended; kept until a newer attempt is there.
    """

    job: Manifest | None = None
    jobs: dict[str, Manifest] = field(default_factory=dict)
    pods: dict[str, Manifest] = field(default_factory=dict)
    gone: dict[str, Manifest] = field(default_factory=dict)

    def held(self, resource: Resource) -> dict[str, Manifest]:
        """Objects of that kind by uid."""
        if resource == FINETUNE_JOBS:
            return {} if self.job is None else {uid_of(self.job): self.job}
        return self.jobs if resource == JOBS else self.pods

    def put(self, resource: Resource, manifest: Manifest) -> None:
        """Hold a state of an object."""
        if resource == FINETUNE_JOBS:
            self.job = manifest
        else:
            self.held(resource)[uid_of(manifest)] = manifest
            self._forget_superseded()

    def drop(self, resource: Resource, uid: str) -> None:
        """Stop holding an object."""
        if resource == FINETUNE_JOBS:
            self.job = None
            self.gone.clear()
        elif (last := self.held(resource).pop(uid, None)) and resource == PODS and _tells_its_end(last):
            self.gone[uid] = last
            self._forget_superseded()

    def _forget_superseded(self) -> None:
        if not self.gone:
            return
        newest = max(map(_attempt, (*self.jobs.values(), *self.pods.values())), default=-1)
        for uid in [uid for uid, pod in self.gone.items() if _attempt(pod) < newest]:
            del self.gone[uid]

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return self.job is None and not self.jobs and not self.pods


class Cache:
    """All families, in the order in which their FineTuneJobs were first seen."""

    def __init__(self) -> None:
        self._families: dict[JobKey, Family] = {}
        self._shown: dict[tuple[Resource, str], int] = {}

    def family(self, key: JobKey) -> Family | None:
        """What is known under that name."""
        return self._families.get(key)

    def keys(self) -> list[JobKey]:
        """All names under which something is known."""
        return list(self._families)

    def finetune_jobs(self, namespace: str | None = None) -> Iterator[Manifest]:
        """FineTuneJobs, the first seen first."""
        for key, family in self._families.items():
            if family.job is not None and namespace in (None, key.namespace):
                yield family.job

    def shown(self, resource: Resource, namespace: str) -> int:
        """The newest resourceVersion that the watch of that namespace has shown."""
        return self._shown.get((resource, namespace), 0)

    def watched(self, resource: Resource, manifest: Manifest, deleted: bool = False) -> bool:
        """Take a state from the watch; returns whether it says anything new."""
        key, version = key_of(resource, manifest), version_of(manifest)
        place = (resource, key.namespace)
        self._shown[place] = max(version, self._shown.get(place, 0))
        held = self._held(key, resource, uid_of(manifest))
        if deleted:
            if held is None and resource == FINETUNE_JOBS:
                return False  # Its successor of the same name may be held already.
            self._put(key, resource, manifest)
            self._drop(key, resource, uid_of(manifest))
            return True
        if held is not None and version_of(held) >= version:
            return False
        self._put(key, resource, manifest)
        return True

    def answered(self, resource: Resource, manifest: Manifest) -> bool:
        """Take the API server's answer to a read or write of one object; returns whether it says anything new."""
        return self._take(key_of(resource, manifest), resource, manifest, version_of(manifest))

    def vanished(self, resource: Resource, key: JobKey, uid: str) -> None:
        """Take the answer that an object does not exist any more."""
        if self._held(key, resource, uid) is not None:
            self._drop(key, resource, uid)

    def listed(self, resource: Resource, listed: Listed, namespace: str | None = None, name: str | None = None) -> set[JobKey]:
        """Take a list of all objects of a kind, or those of a namespace or of one name in it; returns the names with news."""
        changed = {key for item in listed.items if self._take(key := key_of(resource, item), resource, item, listed.version)}
        there = {uid_of(item) for item in listed.items}
        for key in list(self._families):
            if namespace not in (None, key.namespace) or name not in (None, key.name):
                continue
            for uid, held in list(self._families[key].held(resource).items()):
                if uid not in there and version_of(held) <= listed.version:
                    self._drop(key, resource, uid)
                    changed.add(key)
        return changed

    def _take(self, key: JobKey, resource: Resource, manifest: Manifest, as_of: int) -> bool:
        held = self._held(key, resource, uid_of(manifest))
        new = as_of > self.shown(resource, key.namespace) if held is None else version_of(manifest) > version_of(held)
        if new:
            self._put(key, resource, manifest)
        return new

    def _held(self, key: JobKey, resource: Resource, uid: str) -> Manifest | None:
        family = self._families.get(key)
        return family.held(resource).get(uid) if family else None

    def _put(self, key: JobKey, resource: Resource, manifest: Manifest) -> None:
        if resource == FINETUNE_JOBS and self._held(key, resource, uid_of(manifest)) is None and key in self._families:
            self._families[key].gone.clear()
            self._families[key] = self._families.pop(key)  # A job of this name comes after those that were there before it.
        self._families.setdefault(key, Family()).put(resource, _trimmed(resource, manifest))

    def _drop(self, key: JobKey, resource: Resource, uid: str) -> None:
        family = self._families[key]
        family.drop(resource, uid)
        if family.empty:
            del self._families[key]


def key_of(resource: Resource, manifest: Manifest) -> JobKey:
    """The FineTuneJob that an object is or belongs to."""
    metadata = manifest["metadata"]
    return JobKey(metadata["namespace"], metadata["name"] if resource == FINETUNE_JOBS else metadata["labels"][LABEL_JOB])


def uid_of(manifest: Manifest) -> str:
    """The uid of an object."""
    return str(manifest["metadata"]["uid"])


def _trimmed(resource: Resource, manifest: Manifest) -> Manifest:
    """Without what nobody reads: managed fields, and most of the specs of Jobs and pods."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    spec = manifest.get("spec") or {}
    if resource == JOBS:
        spec = {key: value for key, value in spec.items() if key not in ("template", "selector")}
    if resource == PODS:
        spec = {key: spec[key] for key in ("nodeName",) if key in spec}
    return {**manifest, "metadata": metadata, "spec": spec}


def _attempt(manifest: Manifest) -> int:
    number = manifest["metadata"].get("labels", {}).get(LABEL_ATTEMPT, "")
    return int(number) if number.isdecimal() else -1


def _tells_its_end(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    return any((container.get("state") or {}).get("terminated") for container in status.get("containerStatuses") or []) or any(
        condition.get("type") == "DisruptionTarget" for condition in status.get("conditions") or []
    )
