"""The FineTuneJob: one frozen model from which the CRD, the JSON schema, `finetune explain` and the trainer's configuration come.

Field names are camelCase in YAML and snake_case in Python. Every string, list and map has a bound, because the API server
refuses CEL rules over unbounded ones. Rules that relate two fields are in rules.py; a field's own range is here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

GROUP = "finetune.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "FineTuneJob"

MODEL_URI = (
    r"^(hf://[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._/-]+)?|pvc://[a-z0-9][a-z0-9.-]*(/[^\s]*)?|file://[^\s]([^\r\n]*[^\s])?)$"
)
DATA_URI = (
    r"^(hf://[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._/-]+)?|pvc://[a-z0-9][a-z0-9.-]*/[^\s]+"
    r"|configmap://[a-z0-9][a-z0-9.-]*/[A-Za-z0-9._-]+|file://[^\s]([^\r\n]*[^\s])?)$"
)
GGUF_FILE = r"^[^/\s]+\.gguf$"
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
#: A job's name becomes `<name>-<attempt>-<index>` and a label value, which must fit in 63 characters.
MAX_NAME = 52

ModelUri = Annotated[str, StringConstraints(pattern=MODEL_URI, max_length=1024)]
DataUri = Annotated[str, StringConstraints(pattern=DATA_URI, max_length=1024)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
#: The one entry of lora.targetModules that stands for every linear layer except the output head.
ALL_LINEAR = "all-linear"
#: A value that TrainingArguments takes as it is.
ExtraValue = bool | int | float | Annotated[str, StringConstraints(max_length=1024)]


class Part(BaseModel):
    """A frozen group of fields; unknown keys are refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


class Model(Part):
    """The pretrained model that training starts from."""

    source: ModelUri = Field(
        description="Where the model is: hf://OWNER/REPO[@REVISION] (Hugging Face hub; a token is taken from HF_TOKEN), "
        "pvc://CLAIM/PATH (a folder on a volume) or file:///PATH (local runs; relative to the job's YAML when not absolute).",
        examples=["hf://Qwen/Qwen3-8B", "pvc://models/smollm2", "file:///models/llama"],
    )
    gguf_file: Annotated[str, StringConstraints(max_length=255, pattern=GGUF_FILE)] | None = Field(
        None, description="Name of a GGUF file inside the source; its weights are dequantised when they are loaded."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Type in which the weights are held. auto: float32 for method full (master weights), for lora the type that "
        "training.precision names (the adapter itself is always float32).",
    )
    attention: Literal["auto", "sdpa", "eager"] = Field(
        "auto", description="Attention implementation. auto: the one that transformers picks for the model (sdpa where it has it)."
    )
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model. Only for sources you have read.")


class Columns(Part):
    """Names of the columns that hold each part of a sample, where they differ from the format's own."""

    instruction: Name | None = Field(None, description="alpaca: the instruction. Default: instruction.")
    input: Name | None = Field(None, description="alpaca: optional context, put after the instruction. Default: input.")
    output: Name | None = Field(None, description="alpaca: the answer that is trained on. Default: output.")
    system: Name | None = Field(None, description="alpaca, sharegpt: optional system prompt. Default: system.")
    history: Name | None = Field(None, description="alpaca: optional list of [question, answer] pairs before. Default: history.")
    messages: Name | None = Field(
        None, description="sharegpt, openai: the list of turns. Default: conversations (sharegpt), messages (openai)."
    )
    role: Name | None = Field(
        None, description="sharegpt, openai: the key of a turn's role. Default: from (sharegpt), role (openai)."
    )
    content: Name | None = Field(
        None, description="sharegpt, openai: the key of a turn's text. Default: value (sharegpt), content (openai)."
    )
    text: Name | None = Field(None, description="text: the text. Default: text.")


class DataSource(Part):
    """One set of samples."""

    uri: DataUri = Field(
        description="Where the samples are: hf://OWNER/REPO[@REVISION], pvc://CLAIM/PATH, configmap://NAME/KEY or file:///PATH "
        "(relative to the job's YAML when not absolute). Files: .json, .jsonl, .parquet, .txt (format text), or a folder of them.",
        examples=["hf://tatsu-lab/alpaca", "pvc://data/pairs.jsonl"],
    )
    format: Literal["alpaca", "sharegpt", "openai", "text"] = Field(description="How a sample is laid out.")
    split: Name = Field("train", description="Split of a hub data set; files have none.")
    subset: Name | None = Field(None, description="Configuration of a hub data set that has several.")
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How often each sample of this source is used in one epoch: 1 once, 2 twice, 0.5 a fixed random half of them.",
    )
    columns: Columns = Field(Columns(), description="Names of the columns where they differ from the format's own.")


class Dataset(Part):
    """What the model is trained on, and how samples become tokens."""

    sources: Annotated[list[DataSource], Field(min_length=1, max_length=64)] = Field(description="Training samples.")
    eval_sources: Annotated[list[DataSource], Field(max_length=64)] = Field(
        [], description="Evaluation samples. Either these or evalFraction."
    )
    eval_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of the training samples that is set aside for evaluation, chosen by training.seed."
    )
    max_length: int = Field(
        2048, ge=8, le=1_048_576, description="Longest sample in tokens; longer ones lose their oldest turns, and are counted."
    )
    packing: bool = Field(
        False, description="Put several samples into one row of maxLength tokens. No sample sees its neighbours: checked at start."
    )
    chat_template: Literal["model", "chatml", "llama3", "plain"] = Field(
        "model",
        description="How turns become text. model: the template that the tokenizer brings. chatml, llama3: these templates; the "
        "tokenizer must know their control tokens. plain: 'User:' and 'Assistant:' lines, for base models without control tokens.",
    )
    loss_on: Literal["assistant", "all"] = Field(
        "assistant", description="Tokens that carry loss in chat samples: the assistant's turns, or everything."
    )
    train_end_of_turn: bool = Field(
        True, description="Also train the token that ends an assistant's turn; without it the model never learns to stop."
    )
    allow_control_tokens: bool = Field(
        False, description="Let text such as <|im_end|> inside a message become the real control token. Default: it stays text."
    )


class Lora(Part):
    """Low-rank adapters (method lora)."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of the update.")
    alpha: float = Field(32.0, gt=0, le=65536, description="Scale; the update is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: Annotated[list[Name], Field(min_length=1, max_length=64)] = Field(
        [ALL_LINEAR],
        description="Names of the modules that get an adapter, or [all-linear]: each linear layer except the output head.",
        examples=[["q_proj", "v_proj"]],
    )
    use_rslora: bool = Field(False, description="Scale by alpha / sqrt(rank) instead of alpha / rank.")


LrScheduler = Literal["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "inverse_sqrt"]
Optimizer = Literal["adamw_torch", "adamw_torch_fused", "adafactor", "sgd"]


class Training(Part):
    """Hyperparameters, by their usual Hugging Face names."""

    stage: Literal["sft", "pt"] = Field(
        "sft", description="sft: supervised fine-tuning on chats. pt: continued pretraining on text."
    )
    method: Literal["full", "lora"] = Field("lora", description="Train all weights, or a low-rank adapter.")
    lora: Lora = Field(Lora(), description="Settings of method lora.")
    num_train_epochs: float = Field(3.0, gt=0, le=10_000, description="Passes over the data, unless maxSteps is given.")
    max_steps: int = Field(-1, ge=-1, le=100_000_000, description="Optimizer steps; -1: as many as numTrainEpochs needs.")
    per_device_train_batch_size: int = Field(1, ge=1, le=65_536, description="Micro-batch: rows per process and forward pass.")
    per_device_eval_batch_size: int = Field(8, ge=1, le=65_536, description="Rows per process and forward pass in evaluation.")
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=65_536, description="Micro-batches per optimizer step. Global batch = this x micro-batch x world size."
    )
    learning_rate: float = Field(2e-4, gt=0, le=10, description="Peak learning rate.")
    lr_scheduler_type: LrScheduler = Field("cosine", description="Course of the learning rate.")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="Share of all steps in which the learning rate rises from 0.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Decoupled weight decay; norms and biases are left out.")
    max_grad_norm: float = Field(1.0, ge=0, le=1e6, description="Gradient norm is clipped to this; 0: no clipping.")
    optim: Optimizer = Field("adamw_torch", description="Optimizer, by its transformers name.")
    precision: Literal["bf16", "fp16", "fp32"] = Field(
        "bf16", description="Compute type of forward and backward. fp16 needs a GPU; bf16 is slow on processors without it."
    )
    gradient_checkpointing: bool = Field(True, description="Recompute activations in backward: 30 % slower, much less memory.")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Seed of data order, dropout and new weights.")
    logging_steps: int = Field(10, ge=1, le=1_000_000, description="Steps between two progress reports.")
    eval_steps: int | None = Field(
        None, ge=1, le=100_000_000, description="Steps between two evaluations. Default: once per epoch and at the end."
    )
    save_steps: int = Field(500, ge=1, le=100_000_000, description="Steps between two checkpoints; one is also written at the end.")
    save_total_limit: int = Field(
        2, ge=1, le=1000, description="Checkpoints kept; the oldest is removed after a new one is complete."
    )
    report_to: Annotated[list[Literal["tensorboard"]], Field(max_length=8)] = Field(
        [], description="Trackers besides trainer_log.jsonl. tensorboard: event files in the output folder."
    )
    extra_args: Annotated[dict[Annotated[str, StringConstraints(max_length=128)], ExtraValue], Field(max_length=64)] = Field(
        {}, description="Anything else that transformers.TrainingArguments knows, by its own name (snake_case); checked by name."
    )


class Distributed(Part):
    """How many processes train, and how they share the work."""

    nodes: int = Field(1, ge=1, le=1024, description="Nodes (pods; locally: groups of processes).")
    processes_per_node: int | None = Field(None, ge=1, le=64, description="Processes per node. Default: one per GPU, else 1.")
    strategy: Literal["ddp"] = Field("ddp", description="ddp: each process holds the whole model, gradients are averaged.")
    backend: Literal["auto", "nccl", "gloo"] = Field("auto", description="Collectives. auto: nccl with GPUs, else gloo.")
    master_port: int = Field(29500, ge=1024, le=65535, description="Port of the rendezvous on node 0.")
    rendezvous_timeout_seconds: int = Field(
        600, ge=5, le=86_400, description="How long the nodes wait for each other before the attempt is given up."
    )


class PersistentVolumeClaim(Part):
    """A claim in the job's namespace."""

    claim_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)] = Field(
        description="Name of the claim. Local runs write to --output instead."
    )


class OutputVolume(Part):
    """Where results are kept on a cluster."""

    persistent_volume_claim: PersistentVolumeClaim = Field(description="Claim that all nodes mount.")


class Output(Part):
    """Where results go."""

    volume: OutputVolume | None = Field(
        None, description="Volume on a cluster; a local run writes to --output (default runs/NAME)."
    )
    merge_adapter: bool = Field(
        False, description="method lora: besides the adapter write the whole model with the adapter merged, to merged/."
    )


class RunPolicy(Part):
    """What happens when something goes wrong."""

    max_restarts: int = Field(3, ge=0, le=1000, description="How often the job is started again after a failure that may pass.")
    active_deadline_seconds: int | None = Field(
        None, ge=1, le=31_536_000, description="Longest run time of the whole job; then it saves, stops and counts as failed."
    )
    stall_timeout_seconds: int = Field(
        1800, ge=10, le=86_400, description="No progress of a rank for this long ends the attempt, with all stacks in the log."
    )
    graceful_stop_seconds: int = Field(
        120, ge=1, le=3600, description="Time that all ranks have, after SIGTERM, to save the same step and leave."
    )


class EnvVar(Part):
    """An environment variable of the training processes."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)] = Field(
        description="Name; the names that the operator sets itself are refused."
    )
    value: Annotated[str, StringConstraints(max_length=4096)] = Field("", description="Value.")


class Trainer(Part):
    """The training processes."""

    env: Annotated[list[EnvVar], Field(max_length=128)] = Field([], description="Environment variables, for example NCCL_DEBUG.")


class FineTuneJobSpec(Part):
    """Distributed fine-tuning of a language model."""

    model: Model = Field(description="The pretrained model.")
    dataset: Dataset = Field(description="What it is trained on.")
    training: Training = Field(Training(), description="Hyperparameters.")
    distributed: Distributed = Field(Distributed(), description="Processes and how they share the work.")
    output: Output = Field(Output(), description="Where results go.")
    run_policy: RunPolicy = Field(RunPolicy(), description="Restarts, deadlines, time-outs.")
    trainer: Trainer = Field(Trainer(), description="The training processes.")


class Metadata(BaseModel):
    """Kubernetes object metadata, as far as a local run reads it; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=MAX_NAME)] = Field(description="Name of the job.")
    namespace: str | None = Field(None, description="Namespace; local runs have none.")


class FineTuneJob(Part):
    """A FineTuneJob as written in YAML."""

    api_version: Literal["finetune.dev/v1alpha1"] = Field(description="finetune.dev/v1alpha1")
    kind: Literal["FineTuneJob"] = Field(description="FineTuneJob")
    metadata: Metadata = Field(description="Name, labels, annotations.")
    spec: FineTuneJobSpec = Field(description="What to do.")

    def to_manifest(self) -> dict[str, Any]:
        """The job as plain data in YAML spelling, defaults filled in."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
