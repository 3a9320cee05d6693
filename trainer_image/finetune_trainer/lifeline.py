"""No process outlives the one it works for: a rank its launcher, a local launcher the command that started it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading

from finetune_api.contract import ExitCode

_PR_SET_PDEATHSIG = 1


def die_with(pid: int) -> None:
    """Leave at once, with RETRYABLE, when process `pid` is gone; it need not be the parent. Needs a thread that gets to run."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        os._exit(ExitCode.RETRYABLE)
    threading.Thread(target=_leave_after, args=(pidfd,), name="lifeline", daemon=True).start()


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends: also holds while it is stopped or stuck in native code.

    The kernel means the thread that started this process, so that has to be one that lives as long as the parent.
    """
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It ended before the kernel knew.
        os._exit(ExitCode.RETRYABLE)


def _leave_after(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    os._exit(ExitCode.RETRYABLE)
