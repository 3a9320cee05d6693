"""python -m finetune_trainer.launcher.cold_rank TASK: one rank that was not forked warm, and the process that keeps it.

A launcher of another library tells nobody how a rank has ended, and it ends a rank with the signal that asks ours to save. So it
gets a keeper for a child, and the rank is the keeper's: the keeper does not care for signals, writes the exit code down, and
leaves with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer.fence import Token
from finetune_trainer.launcher.rank_process import enter
from finetune_trainer.lifeline import die_with_parent
from finetune_trainer.rank.task import RankTask


def write_task(path: Path, entry: str, task: RankTask, environment: Mapping[str, str | None]) -> None:
    """Write what `main` reads.

    Args:
        entry: "module:function" to call with `task`.
        environment: variables to set in the rank, or with None to remove, before anything is imported.
    """
    path.write_text(json.dumps({"entry": entry, "task": asdict(task), "environment": dict(environment)}))


def pid_file(scratch: Path, local_rank: int) -> Path:
    """Where a keeper writes which process its rank is."""
    return scratch / f"pid-{local_rank}"


def ready_file(scratch: Path, local_rank: int) -> Path:
    """What a rank makes when it has imported everything, and a signal to stop finds it at work."""
    return scratch / f"ready-{local_rank}"


def exit_file(scratch: Path, local_rank: int) -> Path:
    """Where a keeper writes how its rank has ended (negative: signal)."""
    return scratch / f"exit-{local_rank}"


def main(task_file: Path) -> int:
    """Keep a rank. Returns, in the rank and in its keeper, what the process is to leave with."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    content = json.loads(task_file.read_text())
    task = RankTask(**{**content["task"], "token": Token(**content["task"]["token"])})
    for name, value in content["environment"].items():
        os.environ.pop(name, None)
        os.environ.update({} if value is None else {name: value})
    try:
        launcher = os.pidfd_open(task.launcher_pid)
    except ProcessLookupError:
        return ExitCode.RETRYABLE
    pid = os.fork()
    if pid == 0:
        return _be_the_rank(content["entry"], task)
    return _keep(pid, launcher, Path(task.scratch_dir), int(os.environ["LOCAL_RANK"]))


def _be_the_rank(entry: str, task: RankTask) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import finetune_trainer.launcher.preload  # noqa: F401  (importing it does what a forkserver does before it forks)

    ready_file(Path(task.scratch_dir), int(os.environ["LOCAL_RANK"])).touch()
    enter(entry, task)
    return ExitCode.OK  # PREEMPTED is good order too: for another code the launcher would end the ranks that still save.


def _keep(pid: int, launcher: int, scratch: Path, local_rank: int) -> int:
    _write(pid_file(scratch, local_rank), pid)
    poll = select.poll()
    for descriptor in (launcher, os.pidfd_open(pid)):
        poll.register(descriptor, select.POLLIN)
    if launcher in dict(poll.poll()):
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(FileNotFoundError):  # The launcher has left, and its folder with it.
        _write(exit_file(scratch, local_rank), code)
    return code if code >= 0 else 128 - code


def _write(path: Path, number: int) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(str(number))
    scratch.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
