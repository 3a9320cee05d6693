"""Known failures: what a record looks like, what the likely cause is and what to do. A new one is a new row."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass

from finetune_api.contract import ExitCode
from finetune_trainer.failure import Failure

LESS_MEMORY = (
    "Use less memory: a smaller training.perDeviceTrainBatchSize (with more gradientAccumulationSteps for the same global batch), "
    "a shorter dataset.maxLength, training.gradientCheckpointing: true, method: lora, or a larger machine."
)
MORE_HOST_MEMORY = "Raise the memory limit of the container (spec.resources.limits) if it has one."
MORE_SHARED_MEMORY = "Raise spec.resources.sharedMemory, which is the size of a pod's /dev/shm."


@dataclass(frozen=True)
class Cause:
    """A kind of failure.

    Attributes:
        secondary: the process only noticed that another one has failed.
    """

    reason: str
    code: ExitCode
    cause: str
    advice: str
    secondary: bool = False


def explain(failure: Failure) -> Cause:
    """The kind of a failure; the first row that fits."""
    if failure.user_error:
        return Cause(failure.reason or "UserError", ExitCode.USER_ERROR, "", failure.hint)
    return next(cause for fits, cause in _ROWS if fits(failure))


def explain_exit(exit_code: int | None, oom_kills: int) -> Cause:
    """The kind of an end without a record: by signal (negative), or with a bare exit code."""
    if exit_code is not None and -exit_code in _SIGNALS:
        cause = _SIGNALS[-exit_code]
        if exit_code == -9 and oom_kills:
            return Cause(cause.reason, cause.code, "The kernel's out-of-memory killer ended it.", cause.advice)
        return cause
    known = {int(code): code for code in ExitCode if code is not ExitCode.OK}
    code = known.get(exit_code, ExitCode.RETRYABLE) if exit_code is not None else ExitCode.RETRYABLE
    return Cause("RankFailed", code, "It left no word about why.", "The lines above may say more.")


def _says(pattern: str) -> Callable[[Failure], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda failure: bool(compiled.search(f"{failure.type}: {failure.message}"))


def _errno(*numbers: int) -> Callable[[Failure], bool]:
    return lambda failure: failure.errno in numbers


def _any(*tests: Callable[[Failure], bool]) -> Callable[[Failure], bool]:
    return lambda failure: any(test(failure) for test in tests)


def _both(*tests: Callable[[Failure], bool]) -> Callable[[Failure], bool]:
    return lambda failure: all(test(failure) for test in tests)


_GPU_MEMORY = _says(r"\bOutOfMemoryError\b|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED")
_HOST_MEMORY = _any(_says(r"DefaultCPUAllocator: (can't|not enough)|\bMemoryError\b|cannot allocate memory"), _errno(errno.ENOMEM))
_NO_STEP_YET = lambda failure: not failure.step  # noqa: E731

_ROWS: tuple[tuple[Callable[[Failure], bool], Cause], ...] = (
    (_says(r"^Fenced:"), Cause("Fenced", ExitCode.FENCED, "", "Nothing was changed. The newer attempt goes on.")),
    (
        _says(r"shared memory object|/dev/shm|</torch_|bus error"),
        Cause(
            "SharedMemory",
            ExitCode.USER_ERROR,
            "Shared memory (/dev/shm) is too small.",
            MORE_SHARED_MEMORY,
        ),
    ),
    (
        _any(_errno(errno.ENOSPC, errno.EDQUOT), _says(r"no space left on device|disk quota exceeded")),
        Cause(
            "DiskFull",
            ExitCode.USER_ERROR,
            "A disk is full, most likely that of the output folder. The checkpoints that were complete are kept.",
            "Free space or use a larger volume, keep fewer checkpoints (training.saveTotalLimit), and run again to continue.",
        ),
    ),
    (
        _both(_GPU_MEMORY, _NO_STEP_YET),
        Cause(
            "OutOfMemory",
            ExitCode.USER_ERROR,
            "The job does not fit into the GPU's memory, not even for its first step; another try would not either.",
            LESS_MEMORY,
        ),
    ),
    (_GPU_MEMORY, Cause("OutOfMemory", ExitCode.RETRYABLE, "The GPU's memory ran out, for example on a long batch.", LESS_MEMORY)),
    (
        _HOST_MEMORY,
        Cause("OutOfMemory", ExitCode.RETRYABLE, "The machine's memory ran out.", f"{LESS_MEMORY} {MORE_HOST_MEMORY}"),
    ),
    (
        _says(r"driver version is insufficient|found no NVIDIA driver|no CUDA-capable device|CUDA driver initialization failed"),
        Cause(
            "CudaUnavailable",
            ExitCode.USER_ERROR,
            "The NVIDIA driver of the node is missing, or too old for the CUDA of this torch.",
            "Update the driver, or use an image whose torch was built for it.",
        ),
    ),
    (
        _says(r"EADDRINUSE|address already in use"),
        Cause(
            "PortInUse",
            ExitCode.USER_ERROR,
            "Another process has taken the port.",
            "Set spec.distributed.masterPort to a free port.",
        ),
    ),
    (
        _says(
            r"connection (was )?(likely )?(closed|reset)( by peer)?|broken pipe|gloo/transport|pair closure|socket closed"
            r"|recvValue failed|ncclRemoteError|ncclSystemError|NCCL communicator was aborted|watchdog caught collective"
            r"|Application timeout"
        ),
        Cause(
            "PeerLost",
            ExitCode.RETRYABLE,
            "Another rank is gone, or did not answer in time; this one only noticed.",
            "Look at the logs of the other ranks and nodes for the first failure.",
            secondary=True,
        ),
    ),
    (
        _says(r"DistStoreError|RendezvousTimeout|wait timeout after|timed out after .* waiting for clients|connection timed out"),
        Cause(
            "RendezvousTimeout",
            ExitCode.RETRYABLE,
            "Not all nodes came together in time.",
            "See whether all of them were started (pods pending?) and reach node 0; "
            "spec.distributed.rendezvousTimeoutSeconds is the time they have.",
        ),
    ),
    (
        _says(r"^(ImportError|ModuleNotFoundError):"),
        Cause(
            "ImportFailed",
            ExitCode.USER_ERROR,
            "A Python package is missing or does not fit the others.",
            "Install what it names (pip install 'finetune-operator[trainer]'), or use the project's trainer image.",
        ),
    ),
    (
        _any(_errno(errno.EACCES, errno.EPERM, errno.EROFS), _says(r"^PermissionError:")),
        Cause(
            "NotPermitted",
            ExitCode.USER_ERROR,
            "The user that the training runs as may not use this file.",
            "Change the owner or mode of the file, or runAsUser and fsGroup in spec.podTemplate.spec.securityContext.",
        ),
    ),
    (
        _says(r"CUDA error|CUBLAS_STATUS|CUDNN_STATUS|device-side assert|uncorrectable ECC|NVML|ncclUnhandledCudaError"),
        Cause(
            "CudaError",
            ExitCode.RETRYABLE,
            "The GPU or its driver failed, or a kernel got values out of range.",
            "If it comes back on the same node, check its GPU (nvidia-smi, dmesg for Xid); CUDA_LAUNCH_BLOCKING=1 in "
            "spec.trainer.env gives the exact place.",
        ),
    ),
    (lambda _: True, Cause("RankFailed", ExitCode.RETRYABLE, "An error that is not known here.", "The traceback follows.")),
)

_SIGNALS = {
    9: Cause(
        "OutOfMemory",
        ExitCode.RETRYABLE,
        "Something killed it with SIGKILL, most likely the kernel's out-of-memory killer (a memory limit reached).",
        f"{LESS_MEMORY} {MORE_HOST_MEMORY}",
    ),
    7: Cause(
        "SharedMemory",
        ExitCode.RETRYABLE,
        "A bus error: /dev/shm, or the disk behind a memory-mapped file, is full.",
        f"{MORE_SHARED_MEMORY} Or free disk space.",
    ),
    11: Cause(
        "Crashed",
        ExitCode.RETRYABLE,
        "Native code crashed (segmentation fault).",
        "If it comes back, look for packages that were not built for each other; PYTHONFAULTHANDLER=1 in spec.trainer.env "
        "shows where.",
    ),
    6: Cause(
        "Crashed",
        ExitCode.RETRYABLE,
        "Native code gave up (abort), often because a peer was lost or a collective timed out.",
        "The lines above may say more.",
    ),
    15: Cause("Terminated", ExitCode.RETRYABLE, "Something sent it SIGTERM before it could handle that.", "Run again to continue."),
}
