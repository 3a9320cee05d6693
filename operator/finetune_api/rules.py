"""Rules that relate fields to each other, each written once: the CEL text that the API server runs and the same check in Python.

A field's own type, range and pattern are in spec.py. Both texts see the job with defaults filled in, so a field counts as set when
it differs from its default.
"""

from __future__ import annotations

from collections.abc import Callable

from finetune_api import contract, spec
from finetune_api.pod_rules import POD_RULES
from finetune_api.resource_rules import RESOURCE_RULES
from finetune_api.rule import Rule, cel_is_default, cel_value, unique
from finetune_api.strategy_rules import STRATEGY_RULES

_SOURCES = ("spec.dataset.sources[]", "spec.dataset.evalSources[]")

#: Columns that each format reads; rules refuse the others, so that none is accepted and ignored.
FORMAT_COLUMNS = {
    "alpaca": ("instruction", "input", "output", "system", "history"),
    "sharegpt": ("messages", "role", "content", "system"),
    "openai": ("messages", "role", "content"),
    "text": ("text",),
}


def _columns_rule(format_name: str, columns: tuple[str, ...]) -> Rule:
    others = [name for name in spec.Columns.model_fields if name not in columns]
    return Rule(
        f"columns of {format_name}",
        _SOURCES,
        ("columns", "format"),
        f"self.format != '{format_name}' || !({' || '.join(f'has(self.columns.{name})' for name in others)})",
        lambda source: source.format != format_name or all(getattr(source.columns, name) is None for name in others),
        f"names a column that format {format_name} does not use.",
        f"Format {format_name} reads {', '.join(columns)}.",
    )


def _inside_rule(field: str, *at: str) -> Rule:
    return Rule(
        f"{field} stays in its volume",
        at,
        (field,),
        f"self.{field}.startsWith('hf://') || self.{field}.startsWith('file://') || "
        f"!(self.{field}.contains('/../') || self.{field}.endsWith('/..'))",
        lambda node: (uri := getattr(node, field)).startswith(("hf://", "file://")) or not ("/../" in uri or uri.endswith("/..")),
        "leaves the volume by '..'.",
        "Write the path from the volume's root, without '..'.",
    )


def _hub_only_rule(field: str, unset: str, is_unset: Callable[[spec.DataSource], bool]) -> Rule:
    return Rule(
        f"{field} of hub data only",
        _SOURCES,
        (field, "uri"),
        f"self.uri.startsWith('hf://') || {unset}",
        lambda source: source.uri.startswith("hf://") or is_unset(source),
        f"only data from the hub (hf://) has a {field}.",
        f"Remove {field} and name the file in uri.",
    )


def _stage_rule(stage: str, comparison: str, message: str, hint: str) -> Rule:
    """All sources of a stage have format text (==) or none has (!=)."""
    every = [f"self.dataset.{name}.all(s, s.format {comparison} 'text')" for name in ("sources", "evalSources")]
    return Rule(
        f"format of stage {stage}",
        ("spec",),
        ("training.stage", "dataset.sources", "dataset.evalSources"),
        f"self.training.stage != '{stage}' || !has(self.dataset) || ({' && '.join(every)})",
        lambda job: (
            job.training.stage != stage
            or job.dataset is None
            or all(
                (source.format == "text") == (comparison == "==") for source in (*job.dataset.sources, *job.dataset.eval_sources)
            )
        ),
        message,
        hint,
    )


def _chat_only_rule(field: str, name: str, default: object) -> Rule:
    return Rule(
        f"{field} is for chats",
        ("spec",),
        (f"dataset.{field}", "training.stage"),
        f"self.training.stage != 'pt' || !has(self.dataset) || self.dataset.{field} == {cel_value(default)}",
        lambda job: job.training.stage != "pt" or job.dataset is None or getattr(job.dataset, name) == default,
        "has no meaning for stage pt, which trains on every token of plain text.",
        f"Remove {field}.",
    )


RULES: tuple[Rule, ...] = (
    # --- model
    _inside_rule("source", "spec.model"),
    Rule(
        "no training in pure fp16",
        ("spec",),
        ("model.dtype", "training.method"),
        "self.training.method != 'full' || !has(self.model) || self.model.dtype != 'float16'",
        lambda job: job.training.method != "full" or job.model is None or job.model.dtype != "float16",
        "float16 weights cannot be trained: their updates vanish.",
        "Leave model.dtype at auto and set training.precision: fp16.",
    ),
    Rule(
        "no gradient scaling of bf16 weights",
        ("spec",),
        ("model.dtype", "training.method", "training.precision"),
        "self.training.method != 'full' || self.training.precision != 'fp16' || !has(self.model) || self.model.dtype != 'bfloat16'",
        lambda job: (
            job.training.method != "full" or job.training.precision != "fp16" or job.model is None or job.model.dtype != "bfloat16"
        ),
        "bfloat16 weights cannot be trained with precision fp16.",
        "Set training.precision: bf16, or leave model.dtype at auto.",
    ),
    # --- dataset
    _inside_rule("uri", *_SOURCES),
    Rule(
        "one kind of evaluation data",
        ("spec.dataset",),
        ("evalFraction", "evalSources"),
        "self.evalFraction == 0.0 || size(self.evalSources) == 0",
        lambda data: data.eval_fraction == 0 or not data.eval_sources,
        "evalFraction and evalSources exclude each other.",
        "Keep one of them.",
    ),
    _hub_only_rule("split", "self.split == 'train'", lambda source: source.split == "train"),
    _hub_only_rule("subset", "!has(self.subset)", lambda source: source.subset is None),
    Rule(
        "a .txt file is text",
        _SOURCES,
        ("format", "uri"),
        "!self.uri.endsWith('.txt') || self.uri.startsWith('hf://') || self.format == 'text'",
        lambda source: not source.uri.endswith(".txt") or source.uri.startswith("hf://") or source.format == "text",
        "a .txt file holds no fields for this format.",
        "Write format: text, or give a .json, .jsonl or .parquet file.",
    ),
    *(_columns_rule(name, columns) for name, columns in FORMAT_COLUMNS.items()),
    Rule(
        "weight of evaluation data",
        ("spec.dataset.evalSources[]",),
        ("weight",),
        "self.weight == 1.0",
        lambda source: source.weight == 1,
        "evaluation samples are used once each.",
        "Remove weight here.",
    ),
    Rule(
        "sources are different",
        ("spec.dataset",),
        ("sources",),
        "self.sources.all(a, self.sources.exists_one(b, a.uri == b.uri && a.split == b.split && "
        "has(a.subset) == has(b.subset) && (!has(a.subset) || a.subset == b.subset)))",
        lambda data: unique([(source.uri, source.split, source.subset) for source in data.sources]),
        "the same source is given twice.",
        "Give it once, with weight: 2.",
    ),
    # --- stage
    _stage_rule(
        "pt",
        "==",
        "stage pt trains on plain text, and a source has a chat format.",
        "Write format: text for every source, or stage: sft.",
    ),
    _stage_rule(
        "sft",
        "!=",
        "stage sft trains on chats, and a source has format text.",
        "Write stage: pt, or format alpaca, sharegpt or openai.",
    ),
    _chat_only_rule("lossOn", "loss_on", "assistant"),
    _chat_only_rule("trainEndOfTurn", "train_end_of_turn", True),
    _chat_only_rule("chatTemplate", "chat_template", "model"),
    Rule(
        "loss on all includes the end of turn",
        ("spec.dataset",),
        ("trainEndOfTurn", "lossOn"),
        "self.trainEndOfTurn || self.lossOn == 'assistant'",
        lambda data: data.train_end_of_turn or data.loss_on == "assistant",
        "lossOn: all trains every token, the end of a turn included.",
        "Remove trainEndOfTurn, or write lossOn: assistant.",
    ),
    # --- training
    Rule(
        "lora settings need an adapter",
        ("spec.training",),
        ("lora", "method"),
        f"self.method != 'full' || ({cel_is_default('self.lora', spec.Lora)})",
        lambda training: training.has_adapter or training.lora == spec.Lora(),
        "method full has no adapter.",
        "Remove lora, or write method: lora (or qlora).",
    ),
    Rule(
        "merging needs an adapter",
        ("spec",),
        ("output.mergeAdapter", "training.method"),
        "!self.output.mergeAdapter || self.training.method != 'full'",
        lambda job: not job.output.merge_adapter or job.training.has_adapter,
        "method full has no adapter to merge.",
        "Remove mergeAdapter: method full writes the whole model anyway.",
    ),
    Rule(
        "all-linear stands alone",
        ("spec.training.lora",),
        ("targetModules",),
        f"!('{spec.ALL_LINEAR}' in self.targetModules) || size(self.targetModules) == 1",
        lambda lora: spec.ALL_LINEAR not in lora.target_modules or len(lora.target_modules) == 1,
        "all-linear already stands for every linear layer.",
        "Keep all-linear alone, or list modules without it.",
    ),
    Rule(
        "target modules are different",
        ("spec.training.lora",),
        ("targetModules",),
        "self.targetModules.all(a, self.targetModules.exists_one(b, a == b))",
        lambda lora: unique(lora.target_modules),
        "a module is named twice.",
        "Keep one of them.",
    ),
    Rule(
        "at least one step",
        ("spec.training",),
        ("maxSteps",),
        "self.maxSteps != 0",
        lambda training: training.max_steps != 0,
        "0 steps train nothing.",
        "Write the number of steps, or -1 for as many as numTrainEpochs needs.",
    ),
    Rule(
        "constant has no warm-up",
        ("spec.training",),
        ("warmupRatio", "lrSchedulerType"),
        "self.lrSchedulerType != 'constant' || self.warmupRatio in [0.0, 0.03]",
        lambda training: training.lr_scheduler_type != "constant" or training.warmup_ratio in (0.0, 0.03),
        "lrSchedulerType constant has no warm-up.",
        "Remove warmupRatio, or write lrSchedulerType: constant_with_warmup.",
    ),
    Rule(
        "evalSteps needs evaluation data",
        ("spec",),
        ("training.evalSteps", "dataset.evalFraction", "dataset.evalSources"),
        "!has(self.training.evalSteps) || !has(self.dataset) || self.dataset.evalFraction > 0.0 "
        "|| size(self.dataset.evalSources) > 0",
        lambda job: (
            job.training.eval_steps is None
            or job.dataset is None
            or job.dataset.eval_fraction > 0
            or bool(job.dataset.eval_sources)
        ),
        "there is nothing to evaluate on.",
        "Set dataset.evalFraction or dataset.evalSources, or remove evalSteps.",
    ),
    # --- processes
    *STRATEGY_RULES,
    Rule(
        "ports are different",
        ("spec.distributed",),
        ("masterPort",),
        f"self.masterPort != {contract.HTTP_PORT}",
        lambda distributed: distributed.master_port != contract.HTTP_PORT,
        f"port {contract.HTTP_PORT} is where the launcher serves /progress and /metrics.",
        "Choose another port, for example 29500.",
    ),
    Rule(
        "cold processes need time to meet",
        ("spec.distributed",),
        ("rendezvousTimeoutSeconds", "launcher"),
        "self.launcher == 'torchrun' || self.rendezvousTimeoutSeconds >= 60",
        lambda distributed: distributed.launcher == "torchrun" or distributed.rendezvous_timeout_seconds >= 60,
        "launchers accelerate and deepspeed start processes that have to import everything in this time.",
        "Write 60 or more, or launcher: torchrun.",
    ),
    Rule(
        "an own trainer launches itself",
        ("spec",),
        ("distributed.launcher", "trainer.command"),
        "self.distributed.launcher == 'torchrun' || size(self.trainer.command) == 0",
        lambda job: job.distributed.launcher == "torchrun" or not job.trainer.command,
        "launcher starts our trainer's processes; trainer.command starts its own.",
        "Remove launcher.",
    ),
    Rule(
        "deadline leaves time to stop",
        ("spec.runPolicy",),
        ("activeDeadlineSeconds", "gracefulStopSeconds"),
        "!has(self.activeDeadlineSeconds) || self.activeDeadlineSeconds > self.gracefulStopSeconds",
        lambda policy: policy.active_deadline_seconds is None or policy.active_deadline_seconds > policy.graceful_stop_seconds,
        "the job would be stopped as soon as it starts: the deadline includes gracefulStopSeconds for the last save.",
        "Make activeDeadlineSeconds longer than gracefulStopSeconds.",
    ),
    *POD_RULES,
    *RESOURCE_RULES,
)
