"""The contract between whoever starts a node (operator or `finetune run`) and the launcher in it.

Environment, mount paths, exit codes, the `/progress` document, the termination message and the names of files in the output
folder. Both sides import this module and nothing else of each other.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from finetune_api.visible import visible

# --- environment of a node -------------------------------------------------------------------------------------------------------
ENV_NNODES = "NNODES"
ENV_NODE_RANK = "NODE_RANK"
#: The same as NODE_RANK, for launchers that know it by this name; torchrun sets it anew for each process.
ENV_RANK = "RANK"
ENV_NPROC_PER_NODE = "NPROC_PER_NODE"
ENV_MASTER_ADDR = "MASTER_ADDR"
ENV_MASTER_PORT = "MASTER_PORT"
#: File with the resolved FineTuneJob (YAML or JSON).
ENV_JOB_FILE = "FINETUNE_JOB_FILE"
#: Folder of the results, shared by all nodes.
ENV_OUTPUT_DIR = "FINETUNE_OUTPUT_DIR"
#: Unix time (whole seconds) at which the FineTuneJob was created, number of this attempt from 0, and the pod's UID: together the
#: fencing token. A job that was deleted and created again is newer than all attempts of the old one.
ENV_JOB_CREATED = "FINETUNE_JOB_CREATED"
ENV_ATTEMPT = "FINETUNE_ATTEMPT"
ENV_POD_UID = "FINETUNE_POD_UID"
#: JSON object: "CLAIM" or "configmap/NAME" -> folder it is mounted at. Absent keys are looked for under MOUNT_ROOT.
ENV_MOUNTS = "FINETUNE_MOUNTS"
#: Port of /progress, /metrics and /healthz; 0 picks a free one, which is then written to ENV_HTTP_PORT_FILE.
ENV_HTTP_PORT = "FINETUNE_HTTP_PORT"
ENV_HTTP_PORT_FILE = "FINETUNE_HTTP_PORT_FILE"
#: File that takes the termination message.
ENV_TERMINATION_LOG = "FINETUNE_TERMINATION_LOG"
#: Local runs: process whose death ends the launcher, and with it the ranks.
ENV_PARENT_PID = "FINETUNE_PARENT_PID"

#: Names that a job may not set itself: the operator or torchrun owns them.
RESERVED_ENV = frozenset(
    {
        ENV_NNODES, ENV_NODE_RANK, ENV_RANK, ENV_NPROC_PER_NODE, ENV_MASTER_ADDR, ENV_MASTER_PORT,
        "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE",
        "FORCE_TORCHRUN", "JOB_COMPLETION_INDEX",
    }
)  # fmt: skip
RESERVED_ENV_PREFIXES = ("PET_", "FINETUNE_", "TORCHELASTIC_")
#: Variables that hold secrets. Refused too: a job is readable by many and is copied into the output folder.
SECRET_ENV = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY"})

# --- paths in a pod --------------------------------------------------------------------------------------------------------------
MOUNT_ROOT = "/mnt"
JOB_FILE = "/etc/finetune/job.yaml"
OUTPUT_DIR = "/output"
#: Folder for downloads that all jobs of the output volume share.
CACHE_DIR = "/cache"
TERMINATION_LOG = "/dev/termination-log"
HTTP_PORT = 8080

# --- names in the output folder --------------------------------------------------------------------------------------------------
LOG_FILE = "trainer_log.jsonl"
PLOT_FILE = "training_loss.png"
REPORT_FILE = "report.html"
RESOLVED_JOB_FILE = "finetunejob.yaml"
MODEL_CARD_FILE = "README.md"
CHECKPOINTS_DIR = "checkpoints"
MERGED_DIR = "merged"
TENSORBOARD_DIR = "tensorboard"
#: Everything that is not a result: fence, data cache, markers.
STATE_DIR = ".finetune"
#: In STATE_DIR: written last, when everything else of the result is there.
DONE_MARKER = "done.json"
#: In STATE_DIR: what the model answered before training and after.
SAMPLES_FILE = "samples.json"
#: In STATE_DIR: when node 0 was doing what, in every attempt.
ATTEMPTS_FILE = "attempts.jsonl"


class ExitCode(IntEnum):
    """Exit codes of a launcher. Anything else (a signal, a crash of the launcher itself) counts as RETRYABLE."""

    OK = 0
    #: Bad spec, bad data, bad model, full disk: another try gives the same result. Do not retry.
    USER_ERROR = 64
    #: A crash, a lost peer, out of memory by signal: may pass. Retried, charged to maxRestarts.
    RETRYABLE = 75
    #: No heartbeat for stallTimeoutSeconds; stacks are in the log. Retried, charged to maxRestarts.
    STALLED = 76
    #: SIGTERM: all ranks saved the same step and left. Continues later, not charged.
    PREEMPTED = 77
    #: A newer attempt or pod owns the output folder; nothing was changed. Not retried by this attempt, not charged.
    FENCED = 78


Phase = Literal[
    "starting", "downloading", "preparing", "waiting", "loading", "training", "evaluating", "saving", "finishing", "done", "failed"
]


class _Doc(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Progress(_Doc):
    """What GET /progress of node 0's launcher answers; unknown values are absent."""

    phase: Phase = Field("starting", description="What it is doing.")
    message: str = Field("", description="One line for people, for example 'downloading model 1.2/4.8 GB'.")
    attempt: int = Field(0, description="Number of the attempt, from 0.")
    step: int | None = Field(None, description="Optimizer steps done.")
    total_steps: int | None = Field(None, description="Optimizer steps of the whole run.")
    epoch: float | None = Field(None, description="Epochs done, as a fraction.")
    loss: float | None = Field(None, description="Training loss as last logged.")
    eval_loss: float | None = Field(None, description="Loss on the evaluation set as last measured.")
    grad_norm: float | None = Field(None, description="Norm of the gradient before clipping.")
    learning_rate: float | None = Field(None, description="Learning rate of the last step.")
    tokens_per_second: float | None = Field(None, description="Tokens trained on per second, over all ranks.")
    step_seconds: float | None = Field(None, description="Time of an optimizer step, without evaluation and saving.")
    eta_seconds: float | None = Field(None, description="Estimated time until the end.")
    last_checkpoint_step: int | None = Field(None, description="Step of the newest complete checkpoint.")
    checkpoint_seconds: float | None = Field(None, description="For how long training stood still for the last checkpoint.")
    updated_at: float = Field(0.0, description="Unix time of the last change.")


class TerminationMessage(_Doc):
    """Written by a launcher when it ends; at most 4096 bytes as JSON (the kubelet's limit)."""

    exit_code: int
    reason: str = Field(
        description="CamelCase, for conditions: Completed, OutOfMemory, BadDataRow, NonFiniteLoss, PeerLost, DiskFull, ..."
    )
    message: str = Field(description="One paragraph: which rank, which phase, what happened, likely cause, what to do.")
    node_rank: int = 0
    rank: int | None = None
    phase: Phase | None = None
    step: int | None = None
    progress: Progress | None = Field(None, description="Where training stood at the end; from node 0, also after success.")

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The message in a container's termination log; None when something else stands there, or nothing."""
        try:
            read = cls.model_validate_json(text)
        except ValidationError:
            return None
        return read.model_copy(update={"reason": visible(read.reason), "message": visible(read.message)})
