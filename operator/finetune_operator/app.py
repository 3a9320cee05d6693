"""Puts the operator together and runs it: the only place that constructs things."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any

import kopf

from finetune_operator.core.model import JobKey
from finetune_operator.shell import logs
from finetune_operator.shell.cache import Cache
from finetune_operator.shell.config import ConfigError, OperatorSettings
from finetune_operator.shell.handlers import register
from finetune_operator.shell.health import HealthServer
from finetune_operator.shell.kube import AioKube
from finetune_operator.shell.leadership import Leadership, LostLease
from finetune_operator.shell.login import LoginError, load_configuration
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.poller import Poller
from finetune_operator.shell.queue import WorkQueue
from finetune_operator.shell.reconciler import Reconciler
from finetune_operator.shell.resync import INTERVAL_SECONDS, Resync
from finetune_operator.shell.settings import kopf_settings
from finetune_operator.shell.state_metrics import StateMetrics
from finetune_operator.shell.workers import Workers

_log = logging.getLogger(__name__)
#: Progress is asked for at most so rarely, however rarely it is written.
_POLL_SECONDS = 10.0
#: A single request may take half a minute.
_HANGING_SECONDS = 300.0
#: A name for peering, which is off. kopf would look up the user's name, and in a container a user has none.
_IDENTITY: Any = "finetune-operator"
#: After SIGTERM: what the reconciliations under way have left.
_FINISH_SECONDS = 5.0


def main() -> int:
    """Run the operator; returns its exit code: 0 after SIGTERM, 1 when it cannot go on, 2 when it is configured wrongly."""
    try:
        settings = OperatorSettings.from_env(os.environ)
        logs.set_up(settings.log_level)
        asyncio.run(run(settings))
    except (ConfigError, LoginError) as error:
        print(error, file=sys.stderr)
        return 2
    except LostLease as lost:
        _log.error("%s This replica ends, to stand by from its next start on", lost)
        return 1
    except Exception:
        _log.exception("The operator cannot go on")
        return 1
    return 0


async def run(settings: OperatorSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        LoginError: there is no cluster to log in to.
        LostLease: another replica may work by now.
        Exception: whatever made it end otherwise.
    """
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    metrics = Metrics()
    configuration = await load_configuration()
    lease_kube = AioKube(configuration, metrics)
    leadership = Leadership(lease_kube, **asdict(settings.lease)) if settings.lease else None
    kube = AioKube(configuration, metrics, leadership.valid if leadership else lambda: True)
    cache = Cache()
    queue: WorkQueue[JobKey] = WorkQueue(waited=metrics.queue_seconds.observe)
    poller = Poller(queue.add, min(_POLL_SECONDS, settings.config.progress_seconds), metrics)
    workers = Workers(queue, Reconciler(kube, cache, poller, settings.config, metrics).reconcile, metrics)
    resync = Resync(kube, cache, settings.namespaces, queue.add)
    working = asyncio.Event()
    metrics.registry.register(StateMetrics(queue, cache, settings.job_series, leader=working.is_set))
    health = HealthServer(
        settings.health_port,
        ailing=lambda: _ailing(workers, resync) if working.is_set() else "",
        ready=lambda: resync.complete or not working.is_set(),
        metrics=metrics,
    )
    registry = kopf.OperatorRegistry()
    register(registry, cache, queue, resync.soon)

    async def work() -> None:
        working.set()
        await _first_of(resync.first(), stopping.wait())
        if stopping.is_set():
            return
        _log.info("Watching %d FineTuneJobs", sum(1 for _ in cache.finetune_jobs()))
        reconciling = asyncio.create_task(workers.run())
        try:
            await _first_of(
                asyncio.shield(reconciling),
                resync.run(),
                poller.run(),
                _watch(registry, settings.namespaces, stopping),
                _finish(stopping, queue, reconciling),
            )
        finally:
            reconciling.cancel()
            await asyncio.gather(reconciling, return_exceptions=True)  # It may write until it has ended.

    await health.start()
    try:
        if leadership is None:
            await work()
        else:
            await _first_of(leadership.acquire(), stopping.wait())
            if not stopping.is_set():
                await _first_of(work(), leadership.hold())
            await leadership.release()
    finally:
        await health.stop()
        await kube.close()
        await lease_kube.close()


async def _watch(registry: kopf.OperatorRegistry, namespaces: tuple[str, ...], stopping: asyncio.Event) -> None:
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=kopf_settings(),
        clusterwide=not namespaces,
        namespaces=namespaces,
        identity=_IDENTITY,
    )
    _stop_on_signals(stopping)  # kopf has set its own handlers, which would cancel reconciliations under way.
    await kopf.run_tasks(tasks, ignored=before)


async def _finish(stopping: asyncio.Event, queue: WorkQueue[JobKey], working: asyncio.Task[None]) -> None:
    """When asked to stop: no new keys, and some time for those being worked on."""
    await stopping.wait()
    queue.close()
    await asyncio.wait({working}, timeout=_FINISH_SECONDS)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)


async def _first_of(*awaitables: Awaitable[object]) -> None:
    """Run all until the first ends, and pass on its exception."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def _ailing(workers: Workers, resync: Resync) -> str:
    if workers.longest() > _HANGING_SECONDS:
        return f"a reconciliation has lasted for {workers.longest():.0f} s"
    if resync.idle_seconds() > INTERVAL_SECONDS + _HANGING_SECONDS:
        return f"nothing was listed for {resync.idle_seconds():.0f} s"
    return f"the watch of {resync.silent_watch} is silent" if resync.silent_watch else ""
