"""One reconciliation: cache -> observe -> plan -> actions -> status -> Events -> when to look again.

Why acting on a cache is safe here:

- Creating is by name, and the name follows from the attempt's number: a second POST finds the first one's object.
- Patches and deletions carry the uid they were meant for; an object of the same name that came later is not touched.
- Where a mistake could not be taken back, the plan asks for children read from the API server (`fresh`): before an attempt is
  declared over, replaced or resumed.
- The status is written last, guarded by the resourceVersion that the plan started from. If somebody was faster, the job is read
  again and planned again. So whatever goes wrong before leaves the old status, and the next plan starts from there.
- What the API server answers to a write goes into the cache by the rules of cache.py, so the next plan knows it already.

Nothing is remembered from one reconciliation to the next but what may be lost: jobs as they were read, when progress was last
written, Events read about pods that do not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace

from finetune_api.names import ANNOTATION_STOPPED, LABEL_JOB, NUDGE_TTL_SECONDS
from finetune_operator.core import conditions, observe
from finetune_operator.core.model import (
    Action,
    Config,
    Create,
    DeleteAttempt,
    DeleteSelf,
    Job,
    JobKey,
    Manifest,
    Nudge,
    Observed,
    Plan,
    References,
    Stop,
)
from finetune_operator.core.plan import plan as make_plan
from finetune_operator.shell.cache import Cache, Family, key_of, uid_of
from finetune_operator.shell.kube import Conflict, Foreign, Kube, KubeError, Listed, NotFound, Refused
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.mounts import MountEvents
from finetune_operator.shell.poller import Poller
from finetune_operator.shell.recorder import Recorder
from finetune_operator.shell.references import ReferenceReader
from finetune_operator.shell.resources import FINETUNE_JOBS, JOBS, PODS, Resource

_log = logging.getLogger(__name__)
#: More rounds than the plan can need; a job that changes all the time waits for the queue in between.
_ROUNDS = 4
#: After a write: its answer is in the cache already, so the watch tells nothing new, but there may be more to do by now.
_LOOK_AGAIN_SECONDS = 0.5
#: Jobs that are kept as they were read.
_KNOWN = 256
#: The Job controller must have seen the pod's failure first, or the nudge tells it nothing.
_NUDGE_AFTER_SECONDS = 0.02
_LONGEST_MESSAGE = 4096


class Reconciler:
    """Makes one FineTuneJob at a time what its spec says."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        poller: Poller,
        config: Config,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kube, self._cache, self._poller, self._config, self._metrics, self._clock = (
            kube,
            cache,
            poller,
            config,
            metrics,
            clock,
        )
        self._references, self._mounts, self._recorder = ReferenceReader(kube, cache), MountEvents(kube), Recorder(kube)
        self._progress_written: dict[JobKey, float] = {}
        self._known: OrderedDict[JobKey, Job] = OrderedDict()

    async def reconcile(self, key: JobKey) -> float | None:
        """Returns in how many seconds to look again, None: when something happens.

        Raises:
            KubeError: something could not be done; it is to be tried again.
        """
        for _ in range(_ROUNDS):
            family = self._cache.family(key)
            if family is None or family.job is None:
                self._poller.forget(key)
                self._progress_written.pop(key, None)
                return None
            try:
                return await self._round(family.job)
            except Conflict as conflict:
                _log.debug("Reading again: %s", conflict)
                await self._read_again(key, uid_of(family.job))
        return _LOOK_AGAIN_SECONDS

    async def _round(self, manifest: Manifest) -> float | None:
        job = self._read(manifest)
        async with contextlib.AsyncExitStack() as until_written:
            try:
                observed, plan = await self._plan(job, manifest, until_written)
                await self._carry_out(job, plan.actions)
            except Conflict:
                raise
            except (Refused, Foreign) as error:
                await self._tell(job, error)
                raise
            leaving = any(isinstance(action, DeleteSelf) for action in plan.actions)
            written = plan.write_after == 0 and not leaving and await self._write(job, plan)
        if observed.attempts:
            self._poller.watch(job.key, observed.attempts[-1].name, plan.poll)
        again = [plan.requeue_after, plan.write_after or None, self._mounts.look_again(observed, self._clock())]
        if plan.actions or written:
            again.append(_LOOK_AGAIN_SECONDS)
        return min((seconds for seconds in again if seconds is not None), default=None)

    def _read(self, manifest: Manifest) -> Job:
        """The job; those looked at lately are kept, since a job is read several times while it starts."""
        key = key_of(FINETUNE_JOBS, manifest)
        job = self._known[key] = observe.job(manifest, self._known.get(key))
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return job

    async def _plan(self, job: Job, manifest: Manifest, until_written: contextlib.AsyncExitStack) -> tuple[Observed, Plan]:
        """Plan, look up what the plan needs, and plan again."""
        references: References | None = None
        children: dict[Resource, Listed] = {}
        for _ in range(_ROUNDS):
            observed = await self._observe(job, children, references)
            plan = make_plan(job, observed, self._clock(), self._config)
            if not plan.needs:
                return observed, plan
            if "references" in plan.needs and references is None:
                await until_written.enter_async_context(self._references.alone(manifest))
                references = await self._references.look_up(job)
            if "fresh" in plan.needs:
                children = await self._list_children(job.key)
        raise RuntimeError(f"The plan still needs {', '.join(plan.needs)}.")

    async def _observe(self, job: Job, children: dict[Resource, Listed], references: References | None) -> Observed:
        family = self._cache.family(job.key) or Family()
        jobs, pods = (_newest(family.held(resource), children.get(resource)) for resource in (JOBS, PODS))
        there = {uid_of(pod) for pod in pods}
        gone = [pod for uid, pod in family.gone.items() if uid not in there]
        attempts, strays = observe.attempts(job, jobs, pods, gone)
        observed = Observed(
            attempts=attempts,
            strays=strays,
            progress=self._poller.progress(job.key, attempts[-1].name) if attempts else None,
            progress_written_at=self._progress_written.get(job.key, 0.0),
            references=references,
            fresh=bool(children),
        )
        if messages := await self._mounts.messages(job.key.namespace, observed, self._clock()):
            attempts, strays = observe.attempts(job, jobs, pods, gone, messages)
            observed = replace(observed, attempts=attempts, strays=strays)
        return observed

    async def _list_children(self, key: JobKey) -> dict[Resource, Listed]:
        """Jobs first, then pods: in the other order a pod that its Job made in between would be seen in neither."""
        label = f"{LABEL_JOB}={key.name}"
        jobs = await self._kube.list(JOBS, key.namespace, labels=label)
        pods = await self._kube.list(PODS, key.namespace, labels=label)
        self._cache.listed(JOBS, jobs, *key)
        self._cache.listed(PODS, pods, *key)
        return {JOBS: jobs, PODS: pods}

    async def _carry_out(self, job: Job, actions: Iterable[Action]) -> None:
        """All at once; each is tried, whatever becomes of the others."""
        results = await asyncio.gather(*(call for action in actions for call in self._calls(job, action)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _calls(self, job: Job, action: Action) -> list[Coroutine[None, None, None]]:
        match action:
            case Create(manifests):
                return [self._create(manifest) for manifest in manifests]
            case Stop(name, uid, reason):
                stop = {"metadata": {"annotations": {ANNOTATION_STOPPED: reason}}, "spec": {"suspend": True}}
                return [self._patch(job.key, name, uid, stop)]
            case Nudge(name, uid, count):
                return [self._nudge(job.key, name, uid, count)]
            case DeleteAttempt(name, uid):
                return [self._delete(JOBS, job.key, name, uid)]
            case DeleteSelf(uid):
                return [self._delete(FINETUNE_JOBS, job.key, job.key.name, uid)]

    async def _create(self, manifest: Manifest) -> None:
        created = await self._kube.create(manifest)
        if manifest["kind"] == "Job":
            self._cache.answered(JOBS, created)

    async def _patch(self, key: JobKey, name: str, uid: str, patch: Manifest) -> None:
        try:
            self._cache.answered(JOBS, await self._kube.patch(JOBS, key.namespace, name, uid, patch))
        except NotFound:
            self._cache.vanished(JOBS, key, uid)

    async def _nudge(self, key: JobKey, name: str, uid: str, count: int) -> None:
        await asyncio.sleep(_NUDGE_AFTER_SECONDS)
        await self._patch(key, name, uid, {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS + count}})

    async def _delete(self, resource: Resource, key: JobKey, name: str, uid: str) -> None:
        # Not dropped from the cache: its end comes through the watch, when it has come.
        with contextlib.suppress(NotFound):
            await self._kube.delete(resource, key.namespace, name, uid)

    async def _write(self, job: Job, plan: Plan) -> bool:
        """Write the status if it differs, then post the Events; returns whether it was written."""
        patch = conditions.status_patch(job.status, plan.status)
        if patch is None or not await self._write_status(job, patch):
            return False
        if plan.status.progress != job.status.progress:
            self._progress_written[job.key] = self._clock()
        self._metrics.written(job.created_at, job.status, plan.status, self._clock())
        await self._recorder.record(job, plan.events, self._clock())
        return True

    async def _write_status(self, job: Job, patch: Manifest) -> bool:
        """Returns False if the job is gone."""
        try:
            written = await self._kube.patch_status(FINETUNE_JOBS, *job.key, job.resource_version, patch)
        except NotFound:
            self._cache.vanished(FINETUNE_JOBS, job.key, job.uid)
            return False
        self._cache.answered(FINETUNE_JOBS, written)
        return True

    async def _tell(self, job: Job, error: KubeError) -> None:
        """Say in the status what the API server refused; the rest of it stays, since the plan was not carried out."""
        why = error.message if isinstance(error, Refused) else str(error)
        message = f"{why.rstrip('.')}. This is tried again."
        patch = conditions.status_patch(job.status, job.status.model_copy(update={"message": message[:_LONGEST_MESSAGE]}))
        if patch is not None:
            with contextlib.suppress(KubeError):
                await self._write_status(job, patch)

    async def _read_again(self, key: JobKey, uid: str) -> None:
        try:
            self._cache.answered(FINETUNE_JOBS, await self._kube.get(FINETUNE_JOBS, *key))
        except NotFound:
            self._cache.vanished(FINETUNE_JOBS, key, uid)
        await self._list_children(key)


def _newest(held: dict[str, Manifest], listed: Listed | None) -> list[Manifest]:
    """Objects of the cache; after a list those of the list, in the state that the cache has of them, which is at least as new.

    What the watch may have ended meanwhile counts as still there: then its event has put the job into the queue once more.
    """
    return list(held.values()) if listed is None else [held.get(uid_of(item), item) for item in listed.items]
