"""The one paragraph for each known kind of failure, and which process is blamed."""

import errno
from dataclasses import replace

import pytest

from finetune_api.contract import ExitCode
from finetune_trainer.errors import UserError
from finetune_trainer.failure import Failure, describe
from finetune_trainer.fence import Fenced
from finetune_trainer.launcher.causes import LESS_MEMORY
from finetune_trainer.launcher.peers import PeerFailure
from finetune_trainer.launcher.verdict import End, judge


def failed(exc: BaseException, rank: int = 1, step: int | None = 12, time: float = 100.0, **more) -> End:
    record = replace(describe(exc, phase="training", rank=rank, step=step, **more), time=time)
    code = ExitCode.USER_ERROR if record.user_error else ExitCode.RETRYABLE
    return End(f"rank {rank}", rank, code, record, "training", step)


def ended(code: int | None, rank: int = 0, killed: bool = False) -> End:
    return End(f"rank {rank}", rank, code, None, "training", 12, killed)


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


class DistStoreError(RuntimeError):
    """As torch names it."""


ECHO = RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error [10.0.0.7]:26255: Connection reset by peer")

GOLDEN = [
    (
        UserError("BadDataRow", "pairs.jsonl line 7: no column output.", "It has: question, answer."),
        ExitCode.USER_ERROR,
        "BadDataRow",
        "Rank 1 failed while training, at step 12: pairs.jsonl line 7: no column output. It has: question, answer.",
    ),
    (
        UserError("NonFiniteLoss", "The loss is nan.", "Lower training.learningRate."),
        ExitCode.USER_ERROR,
        "NonFiniteLoss",
        "Rank 1 failed while training, at step 12: The loss is nan. Lower training.learningRate.",
    ),
    (
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        ExitCode.RETRYABLE,
        "OutOfMemory",
        "Rank 1 failed while training, at step 12: OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. "
        f"The GPU's memory ran out, for example on a long batch. {LESS_MEMORY}",
    ),
    (
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        ExitCode.RETRYABLE,
        "OutOfMemory",
        None,
    ),
    (MemoryError(), ExitCode.RETRYABLE, "OutOfMemory", None),
    (
        OSError(errno.ENOSPC, "No space left on device", "/output/checkpoints/tmp/model.safetensors"),
        ExitCode.USER_ERROR,
        "DiskFull",
        "Rank 1 failed while training, at step 12: OSError: [Errno 28] No space left on device: "
        "'/output/checkpoints/tmp/model.safetensors'. A disk is full, most likely that of the output folder. The checkpoints "
        "that were complete are kept. Free space or use a larger volume, keep fewer checkpoints (training.saveTotalLimit), and run "
        "again to continue.",
    ),
    (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), ExitCode.USER_ERROR, "SharedMemory", None),
    (
        ECHO,
        ExitCode.RETRYABLE,
        "PeerLost",
        "Rank 1 failed while training, at step 12: RuntimeError: [gloo/transport/tcp/pair.cc:537] Read error [10.0.0.7]:26255: "
        "Connection reset by peer. Another rank is gone, or did not answer in time; this one only noticed. Look at the logs of the "
        "other ranks and nodes for the first failure.",
    ),
    (RuntimeError("NCCL communicator was aborted on rank 1"), ExitCode.RETRYABLE, "PeerLost", None),
    (DistStoreError("wait timeout after 60000ms, keys: /role_info/0"), ExitCode.RETRYABLE, "RendezvousTimeout", None),
    (RuntimeError("The server socket has failed to listen: EADDRINUSE"), ExitCode.USER_ERROR, "PortInUse", None),
    (ModuleNotFoundError("No module named 'peft'"), ExitCode.USER_ERROR, "ImportFailed", None),
    (RuntimeError("CUDA error: device-side assert triggered"), ExitCode.RETRYABLE, "CudaError", None),
    (RuntimeError("The NVIDIA driver version is insufficient for CUDA"), ExitCode.USER_ERROR, "CudaUnavailable", None),
    (PermissionError(errno.EACCES, "Permission denied", "/output/x"), ExitCode.USER_ERROR, "NotPermitted", None),
    (Fenced("Attempt 2 owns the output folder; this is attempt 1."), ExitCode.FENCED, "Fenced", None),
    (
        KeyError("labels"),
        ExitCode.RETRYABLE,
        "RankFailed",
        "Rank 1 failed while training, at step 12: KeyError: 'labels'. An error that is not known here. The traceback follows.",
    ),
]


@pytest.mark.parametrize(("exc", "code", "reason", "message"), GOLDEN, ids=lambda value: type(value).__name__)
def test_each_kind_of_failure(exc, code, reason, message):
    verdict = judge([ended(-15), failed(exc)])
    assert (verdict.exit_code, verdict.reason, verdict.rank, verdict.step) == (code, reason, 1, 12)
    if message:
        assert verdict.message == message


def test_gpu_memory_that_is_too_small_for_the_first_step_is_not_retried():
    verdict = judge([failed(OutOfMemoryError("CUDA out of memory."), step=0)])
    assert verdict.exit_code == ExitCode.USER_ERROR and "not even for its first step" in verdict.message


def test_a_wrapped_full_disk_is_still_a_full_disk():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("could not serialize") from error
    except RuntimeError as error:
        assert judge([failed(error)]).reason == "DiskFull"


def test_the_row_is_named():
    verdict = judge([failed(IndexError("index out of range"), row="pairs.jsonl line 9")])
    assert "(data row: pairs.jsonl line 9)" in verdict.message


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (-9, "OutOfMemory", "most likely the kernel's out-of-memory killer"),
        (-7, "SharedMemory", "/dev/shm"),
        (-11, "Crashed", "segmentation fault"),
        (-6, "Crashed", "abort"),
        (-15, "Terminated", "SIGTERM"),
        (17, "RankFailed", "exit code 17"),
        (None, "RankFailed", "it is gone"),
    ],
)
def test_ends_without_a_word(code, reason, words):
    verdict = judge([ended(code, rank=0)])
    assert verdict.exit_code == ExitCode.RETRYABLE and verdict.reason == reason and words in verdict.message


def test_a_counted_kill_is_no_guess():
    assert "The kernel's out-of-memory killer ended it." in judge([ended(-9)], oom_kills=1).message


@pytest.mark.parametrize("code", [ExitCode.USER_ERROR, ExitCode.FENCED, ExitCode.STALLED])
def test_a_code_of_the_contract_without_a_record_is_kept(code):
    assert judge([ended(code)]).exit_code == code


@pytest.mark.parametrize(
    ("ends", "blamed"),
    [
        ([failed(ECHO, 0, time=1), failed(KeyError("x"), 1, time=2)], 1),
        ([failed(ECHO, 0, time=1), ended(-9, 1)], 1),
        ([failed(KeyError("x"), 0, time=2), failed(ValueError("y"), 1, time=1)], 1),
        ([failed(KeyError("x"), 0), failed(UserError("BadDataRow", "row 3"), 1, time=200)], 1),
        ([ended(-6, 0), failed(KeyError("x"), 1)], 1),
        ([ended(-9, 0, killed=True), failed(KeyError("x"), 1)], 1),
        ([ended(-15, 0, killed=True), ended(-11, 1)], 1),
    ],
)
def test_the_first_real_failure_is_blamed(ends, blamed):
    assert judge(ends).rank == blamed


PEER = PeerFailure(1, ExitCode.RETRYABLE, "OutOfMemory", "Rank 1 was killed.")


def test_a_lost_peer_is_explained_by_the_peer():
    verdict = judge([failed(ECHO, 0)], peer=PEER)
    assert verdict.reason == "PeerLost" and verdict.exit_code == ExitCode.RETRYABLE
    assert verdict.message == "Node 1 has failed (OutOfMemory), so this node stops as well. Node 1: Rank 1 was killed."


def test_an_own_failure_comes_before_a_peers():
    assert judge([failed(KeyError("x"), 0)], peer=PEER).rank == 0


def test_all_done_is_done_whatever_a_peer_says():
    assert judge([ended(0), ended(0, 1)], peer=PEER).exit_code == ExitCode.OK


def test_a_stop_that_was_asked_for():
    verdict = judge([ended(ExitCode.PREEMPTED), ended(ExitCode.PREEMPTED, 1)], stop_requested=True)
    assert verdict.exit_code == ExitCode.PREEMPTED and verdict.message.startswith("Stopped on request at step 12, which is saved.")


def test_a_full_disk_during_a_stop_is_not_called_saved():
    verdict = judge([ended(ExitCode.PREEMPTED), failed(OSError(errno.ENOSPC, "No space left"))], stop_requested=True)
    assert verdict.reason == "DiskFull"


def test_a_broken_connection_during_a_stop_is_not_called_saved():
    assert judge([failed(ECHO)], stop_requested=True).exit_code == ExitCode.RETRYABLE


def test_a_long_message_is_cut():
    assert len(judge([failed(KeyError("x" * 9000))]).message) < 2000


def test_the_longest_silence_is_named():
    silent = replace(ended(None, 1, killed=True), seconds_silent=30.0)
    verdict = judge([replace(ended(None, 0, killed=True), seconds_silent=12.0), silent], interruption="Stalled")
    assert verdict.exit_code == ExitCode.STALLED and verdict.message.startswith(
        "Rank 1 gave no sign of life for 30 s while training"
    )


def test_a_record_survives_its_file(tmp_path):
    from finetune_trainer import failure

    path = tmp_path / "failure-0.json"
    failure.record(path, UserError("DiskFull", "full", "free space"), phase="saving", rank=3, step=9)
    read = failure.read(path)
    assert isinstance(read, Failure)
    assert (read.reason, read.hint, read.rank, read.step, read.phase, read.user_error) == (
        "DiskFull",
        "free space",
        3,
        9,
        "saving",
        True,
    )


def test_recording_never_raises(tmp_path):
    from finetune_trainer import failure

    failure.record(tmp_path / "absent" / "failure.json", KeyError("x"), phase="saving", rank=3, step=9)
    assert failure.read(tmp_path / "absent" / "failure.json") is None
