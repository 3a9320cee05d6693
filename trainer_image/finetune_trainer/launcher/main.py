"""The launcher of one node, PID 1 of its pod: `job.yaml -> fence -> prepare -> rendezvous -> ranks -> verdict`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_api.contract import ENV_TERMINATION_LOG, REPORT_FILE, TERMINATION_LOG, ExitCode, TerminationMessage
from finetune_api.load import SpecErrors, load_job
from finetune_api.spec import FineTuneJob
from finetune_trainer import failure, fence, lifeline
from finetune_trainer.errors import UserError
from finetune_trainer.launcher import (
    checks,
    earlier,
    gang,
    peers,
    preparation,
    progress,
    rendezvous,
    samples,
    starter,
    termination,
    warm,
)
from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.progress_server import ProgressServer
from finetune_trainer.launcher.say import say
from finetune_trainer.launcher.stop import Stop
from finetune_trainer.launcher.verdict import End, Verdict, judge, preempted
from finetune_trainer.rank.task import RankTask
from finetune_trainer.results.attempts import AttemptLog
from finetune_trainer.results.resolved_job import write_resolved_job
from finetune_trainer.settings import NodeSettings


@dataclass(frozen=True)
class Program:
    """What a launcher starts.

    Attributes:
        prepare: module that node 0 runs with `python -m`.
        rank: "module:function" that each rank process calls with its RankTask.
        preload: what a rank imports for a job before its entry is called.
    """

    prepare: str = "finetune_trainer.prepare"
    rank: str = "finetune_trainer.rank.train:run_rank"
    preload: Callable[[FineTuneJob], warm.Preload] = warm.choose


def launch(env: Mapping[str, str], stop: Stop, program: Program = Program()) -> ExitCode:
    """Run this node's part of one attempt. Call in the main thread of a process that ends with the result.

    Args:
        env: the environment of the contract.
        stop: listens to the signals already.
    """
    try:
        settings = NodeSettings.from_env(env)
    except UserError as error:
        say(str(error))
        message = TerminationMessage(exit_code=ExitCode.USER_ERROR, reason=error.reason, message=str(error))
        termination.write(Path(env.get(ENV_TERMINATION_LOG, TERMINATION_LOG)), message)
        return ExitCode.USER_ERROR
    scratch = Path(tempfile.mkdtemp(prefix="finetune-"))
    record = AttemptLog(settings.output_dir, settings.attempt)
    try:
        verdict = _attempt(settings, env, stop, scratch, program, record)
    except BaseException as exc:
        verdict = judge([End(f"the launcher of node {settings.node_rank}", None, None, failure.describe(exc, phase="starting"))])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    code = _leave(settings, verdict)
    step = verdict.progress.step if verdict.progress else verdict.step
    record.end(verdict.exit_code, verdict.reason, verdict.message, step)
    if record.begun and code is ExitCode.OK:
        _report(settings.output_dir)
    return code


def _attempt(
    settings: NodeSettings, env: Mapping[str, str], stop: Stop, scratch: Path, program: Program, record: AttemptLog
) -> Verdict:
    """The story of one attempt; each step either goes well or ends it with a verdict."""
    say(f"node {settings.node_rank} of {settings.nnodes}, attempt {settings.attempt}: {settings.job_file} -> {settings.output_dir}")
    if settings.parent_pid:
        lifeline.die_with(settings.parent_pid)
    try:
        job = load_job(settings.job_file)
    except SpecErrors as errors:
        raise UserError("InvalidSpec", str(errors), "finetune validate FILE shows the same.") from errors
    if (done := earlier.look(job, settings)) is not None:
        return done
    checks.check_launcher(job.spec.distributed)
    checks.check_output(settings)
    fence.claim(settings.state_dir, settings.node_rank, settings.token)
    peers.forget(settings)
    checks.check_master_port(settings)
    if settings.node_rank == 0:
        write_resolved_job(job, settings.output_dir)
        record.begin()

    context = Context(settings, job, scratch, stop, record, progress.starting(settings.attempt))
    server = ProgressServer(
        "127.0.0.1" if settings.parent_pid else "", settings.http_port, context.progress, lambda: context.ticked_at
    )
    if settings.http_port_file:
        server.write_port(settings.http_port_file)
    os.environ.update(warm.rank_environment(job, settings, env))
    preload = program.preload(job)
    starter.warm_up(job, preload)

    verdict = _prepare(context, program.prepare) or _train(context, program.rank, preload)
    if settings.node_rank == 0 and verdict.exit_code is ExitCode.OK:
        samples.ask_the_model(context)
    return replace(verdict, progress=context.last_progress(verdict.exit_code))


def _prepare(context: Context, module: str) -> Verdict | None:
    first = context.settings.node_rank == 0
    ended = preparation.prepare(context, module) if first else preparation.wait_for_prepared(context)
    return preempted(0) if ended is None and context.stop.requested else ended


def _train(context: Context, entry: str, preload: warm.Preload) -> Verdict:
    settings = context.settings
    if (ended := rendezvous.wait_for_master(context)) is not None:
        return ended
    task = RankTask(
        job_file=str(settings.job_file),
        output_dir=str(settings.output_dir),
        prepared_file=str(context.prepared_file),
        scratch_dir=str(context.scratch),
        token=settings.token,
        node_rank=settings.node_rank,
        launcher_pid=os.getpid(),
    )
    return gang.run_ranks(context, starter.starter_for(context, task, entry, preload))


def _leave(settings: NodeSettings, verdict: Verdict) -> ExitCode:
    say(f"{verdict.reason}: {verdict.message}")
    for line in verdict.traceback.splitlines():
        say(f"| {line}")
    if verdict.exit_code not in (ExitCode.OK, ExitCode.FENCED):
        peers.tell(settings, peers.PeerFailure(settings.node_rank, verdict.exit_code, verdict.reason, verdict.message))
    message = TerminationMessage(
        exit_code=verdict.exit_code,
        reason=verdict.reason,
        message=verdict.message,
        node_rank=settings.node_rank,
        rank=verdict.rank,
        phase=verdict.phase,
        step=verdict.step,
        progress=verdict.progress if settings.node_rank == 0 else None,
    )
    termination.write(settings.termination_log, message)
    return verdict.exit_code


def _report(output: Path) -> None:
    """For people to look at. The job is done, and stays so whatever becomes of this."""
    try:
        from finetune_trainer.results.report.write import write_report

        write_report({output.name: output}, output / REPORT_FILE)
    except Exception as error:
        say(f"warning: no {REPORT_FILE} ({type(error).__name__}: {error}); `finetune report {output}` tries again")
