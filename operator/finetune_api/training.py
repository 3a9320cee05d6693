"""How a model is trained: hyperparameters, by their usual Hugging Face names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from finetune_api.part import Name, Part

#: The one entry of lora.targetModules that stands for every linear layer except the output head.
ALL_LINEAR = "all-linear"
#: A value that TrainingArguments takes as it is.
ExtraValue = bool | int | float | Annotated[str, StringConstraints(max_length=1024)]


class Lora(Part):
    """Low-rank adapters (methods lora and qlora)."""

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
    method: Literal["full", "lora", "qlora"] = Field(
        "lora",
        description="full: train all weights. lora: a low-rank adapter. qlora: an adapter over a model whose linear layers are "
        "held in 4 bits (nf4, by bitsandbytes): a quarter of their memory in bf16.",
    )
    lora: Lora = Field(Lora(), description="Settings of the adapter, for methods lora and qlora.")
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

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, and the model itself stays as it is."""
        return self.method != "full"

    @property
    def compute_dtype(self) -> str:
        """torch's name of the type that `precision` stands for."""
        return {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[self.precision]
