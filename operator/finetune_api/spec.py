"""The FineTuneJob: one frozen model from which the CRD, the JSON schema, `finetune explain` and the trainer's configuration come.

Field names are camelCase in YAML and snake_case in Python. Every string, list and map has a bound, because the API server
refuses CEL rules over unbounded ones. Rules that relate two fields are in rules.py; a field's own range is here, and in
inputs.py, training.py and pod_template.py for the larger groups.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from finetune_api.inputs import DATA_URI, GGUF_FILE, MODEL_URI, Columns, Dataset, DataSource, Model
from finetune_api.part import FolderName, Part, PersistentVolumeClaim, SecretKey, Text
from finetune_api.pod_template import PodTemplate, Resources
from finetune_api.strategies import DeepSpeed, Fsdp
from finetune_api.training import ALL_LINEAR, Lora, Training

__all__ = [
    "ALL_LINEAR", "API_VERSION", "DATA_URI", "DNS_LABEL", "GGUF_FILE", "GROUP", "KIND", "MAX_NAME", "MODEL_URI", "VERSION",
    "Columns", "DataSource", "Dataset", "DeepSpeed", "Distributed", "EnvSource", "EnvVar", "FineTuneJob", "FineTuneJobSpec", "Fsdp",
    "Lora", "Metadata", "Model", "Output", "OutputVolume", "PodTemplate", "Resources", "RunPolicy", "Trainer", "Training",
]  # fmt: skip

GROUP = "finetune.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "FineTuneJob"

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
#: A job's name becomes `<name>-<attempt>-<index>` and a label value, which must fit in 63 characters.
MAX_NAME = 52


class Distributed(Part):
    """How many processes train, and how they share the work."""

    nodes: int = Field(1, ge=1, le=1024, description="Nodes (pods; locally: groups of processes).")
    processes_per_node: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Processes per node. Default: one per GPU (cluster: of resources.limits, local: of the machine), else 1.",
    )
    strategy: Literal["ddp", "deepspeed", "fsdp"] = Field(
        "ddp",
        description="ddp: each process holds the whole model, gradients are averaged. deepspeed, fsdp: see their own settings.",
    )
    deepspeed: DeepSpeed | None = Field(None, description="Settings of strategy deepspeed.")
    fsdp: Fsdp | None = Field(None, description="Settings of strategy fsdp.")
    launcher: Literal["torchrun", "accelerate", "deepspeed"] = Field(
        "torchrun",
        description="What starts a node's processes. torchrun: torch's own agent, from a warm process. accelerate, deepspeed: "
        "`accelerate launch`, `deepspeed --no_ssh`, for a site that depends on them; slower to start, the training is the same.",
    )
    backend: Literal["auto", "nccl", "gloo"] = Field("auto", description="Collectives. auto: nccl with GPUs, else gloo.")
    master_port: int = Field(29500, ge=1024, le=65535, description="Port of the rendezvous on node 0.")
    rendezvous_timeout_seconds: int = Field(
        600, ge=5, le=86_400, description="How long the nodes wait for each other before the attempt is given up."
    )


class OutputVolume(Part):
    """Where results are kept on a cluster."""

    persistent_volume_claim: PersistentVolumeClaim = Field(description="Claim that all nodes mount.")


class Output(Part):
    """Where results go."""

    volume: OutputVolume | None = Field(
        None, description="Volume on a cluster; a local run writes to --output (default runs/NAME)."
    )
    # One name: a job could put a link into a folder of its own, and a path through that link would lead another job anywhere.
    path: FolderName | None = Field(
        None,
        description="Folder at the top of the volume, for this job alone as long as it exists. Default: the job's name. A job goes "
        "on from what it left there.",
    )
    merge_adapter: bool = Field(
        False,
        description="methods lora and qlora: besides the adapter write the whole model with the adapter merged, to merged/. qlora: "
        "merged into the model as it was before it was quantised.",
    )
    samples: int = Field(
        0,
        ge=0,
        le=16,
        description="So many samples of the evaluation data (where there is none, of the training data) are answered by the model "
        "as it was before training and as it is now, side by side in report.html. Takes node 0 at most 2 minutes once training "
        "is over; where the model does not fit into its memory, the report says so instead.",
    )


class RunPolicy(Part):
    """When the job runs, and what happens when something goes wrong."""

    suspend: bool = Field(
        False,
        description="true: save and release the pods, or do not start; false: go on from there. Cluster only: locally Ctrl-C.",
    )
    max_restarts: int = Field(3, ge=0, le=1000, description="How often the job is started again after a failure that may pass.")
    active_deadline_seconds: int | None = Field(
        None, ge=1, le=31_536_000, description="Longest run time of the whole job; then it saves, stops and counts as failed."
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=315_360_000,
        description="The job is deleted this long after it has finished (cluster); the results stay. Default: never.",
    )
    stall_timeout_seconds: int = Field(
        1800, ge=10, le=86_400, description="No progress of a rank for this long ends the attempt, with all stacks in the log."
    )
    graceful_stop_seconds: int = Field(
        120, ge=1, le=3600, description="Time that all ranks have, after SIGTERM, to save the same step and leave."
    )


class EnvSource(Part):
    """Where a value comes from that is not written down here."""

    secret_key_ref: SecretKey = Field(description="Key of a Secret.")


class EnvVar(Part):
    """An environment variable of the training processes."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)] = Field(
        description="Name; the names that the operator sets itself are refused."
    )
    value: Text = Field("", description="Value.")
    value_from: EnvSource | None = Field(
        None, description="Where the value comes from instead; a local run takes the variable of this name from the shell."
    )


class Trainer(Part):
    """The training processes."""

    image: Annotated[str, StringConstraints(pattern=r"^[^\s]+$", max_length=1024)] | None = Field(
        None, description="Container image on a cluster. Default: the operator's trainer image."
    )
    command: Annotated[list[Text], Field(max_length=256)] = Field(
        [],
        description="Another trainer in place of ours, started once on each node: torchrun, accelerate launch, any launcher that "
        "reads NNODES, NODE_RANK, NPROC_PER_NODE, MASTER_ADDR and MASTER_PORT. $(NNODES) and the like are filled in. Cluster only.",
        examples=[["torchrun", "/scripts/train.py"]],
    )
    env: Annotated[list[EnvVar], Field(max_length=128)] = Field([], description="Environment variables, for example NCCL_DEBUG.")

    @property
    def written_env(self) -> dict[str, str]:
        """The variables whose values are written down here, and do not come from elsewhere."""
        return {variable.name: variable.value for variable in self.env if variable.value_from is None}


class FineTuneJobSpec(Part):
    """Distributed fine-tuning of a language model."""

    model: Model | None = Field(None, description="The pretrained model. Required, but with trainer.command.")
    dataset: Dataset | None = Field(None, description="What it is trained on. Required, but with trainer.command.")
    training: Training = Field(Training(), description="Hyperparameters.")
    distributed: Distributed = Field(Distributed(), description="Processes and how they share the work.")
    output: Output = Field(Output(), description="Where results go.")
    run_policy: RunPolicy = Field(RunPolicy(), description="Suspension, restarts, deadlines, time-outs.")
    resources: Resources = Field(Resources(), description="What each node gets (cluster).")
    pod_template: PodTemplate = Field(PodTemplate(), description="Where pods run and what else they mount (cluster).")
    trainer: Trainer = Field(Trainer(), description="The training processes.")


class Metadata(BaseModel):
    """Kubernetes object metadata, as far as a local run reads it; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=MAX_NAME)] = Field(description="Name of the job.")
    namespace: str | None = Field(None, description="Namespace; local runs have none.")


P = TypeVar("P", bound=Part)


def _given(part: P | None, name: str) -> P:
    if part is None:
        raise ValueError(f"spec.{name} is not set: this job brings its own trainer.")
    return part


class FineTuneJob(Part):
    """A FineTuneJob as written in YAML."""

    api_version: Literal["finetune.dev/v1alpha1"] = Field(description="finetune.dev/v1alpha1")
    kind: Literal["FineTuneJob"] = Field(description="FineTuneJob")
    metadata: Metadata = Field(description="Name, labels, annotations.")
    spec: FineTuneJobSpec = Field(description="What to do.")

    @property
    def model(self) -> Model:
        """The model. A rule sees to it that every job for our trainer has one."""
        return _given(self.spec.model, "model")

    @property
    def dataset(self) -> Dataset:
        """The data. A rule sees to it that every job for our trainer has some."""
        return _given(self.spec.dataset, "dataset")

    def to_manifest(self) -> dict[str, Any]:
        """The job as plain data in YAML spelling, defaults filled in."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
