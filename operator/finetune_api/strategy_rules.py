"""Rules about how the work is shared: which strategy, configured how. Part of the list in rules.py."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_api.rule import Rule
from finetune_api.spec import DeepSpeed, Distributed, Fsdp

#: A strategy with settings of its own -> a preset that suits many jobs.
_PRESETS = {"deepspeed": "zero2", "fsdp": "fsdp2"}
_WAYS = {"preset": "preset", "config": "config", "config_map_ref": "configMapRef"}


def _one_way(settings: DeepSpeed | Fsdp) -> bool:
    return sum(getattr(settings, name) is not None for name in _WAYS) == 1


def _settings_rules(strategy: str) -> Iterator[Rule]:
    """The settings of a strategy are there if, and only if, it is chosen; and there is one kind of them."""

    def settings(distributed: Distributed) -> DeepSpeed | Fsdp | None:
        found: DeepSpeed | Fsdp | None = getattr(distributed, strategy)
        return found

    yield Rule(
        f"strategy {strategy} has settings",
        ("spec.distributed",),
        ("strategy", strategy),
        f"self.strategy != '{strategy}' || has(self.{strategy})",
        lambda distributed: distributed.strategy != strategy or settings(distributed) is not None,
        f"strategy {strategy} needs to know what it shall split.",
        f"Set distributed.{strategy}.preset, for example {_PRESETS[strategy]}.",
    )
    yield Rule(
        f"{strategy} settings need strategy {strategy}",
        ("spec.distributed",),
        (strategy, "strategy"),
        f"!has(self.{strategy}) || self.strategy == '{strategy}'",
        lambda distributed: settings(distributed) is None or distributed.strategy == strategy,
        f"{strategy} is configured, but it is not the strategy.",
        f"Set distributed.strategy: {strategy}, or remove {strategy}.",
    )
    yield Rule(
        f"one kind of {strategy} settings",
        (f"spec.distributed.{strategy}",),
        tuple(_WAYS.values()),
        f"[{', '.join(f'has(self.{name})' for name in _WAYS.values())}].exists_one(given, given)",
        _one_way,
        f"needs one of {', '.join(_WAYS.values())}.",
        f"Set {strategy}.preset, for example {_PRESETS[strategy]}, or bring a configuration of your own.",
    )


STRATEGY_RULES: tuple[Rule, ...] = (
    *(rule for strategy in _PRESETS for rule in _settings_rules(strategy)),
    Rule(
        "no gradient scaling without ZeRO",
        ("spec",),
        ("training.precision", "distributed.deepspeed.preset"),
        "self.training.precision != 'fp16' || !has(self.distributed.deepspeed) || !has(self.distributed.deepspeed.preset) "
        "|| self.distributed.deepspeed.preset != 'zero0'",
        lambda job: (
            job.training.precision != "fp16" or job.distributed.deepspeed is None or job.distributed.deepspeed.preset != "zero0"
        ),
        "zero0 loses its gradient scale when a run goes on, so fp16 is not offered under it.",
        "Use zero1, distributed.strategy: ddp, or precision bf16.",
    ),
    Rule(
        "adafactor cannot be split",
        ("spec",),
        ("training.optim", "distributed.strategy"),
        "self.training.optim != 'adafactor' || self.distributed.strategy == 'ddp'",
        lambda job: job.training.optim != "adafactor" or job.distributed.strategy == "ddp",
        "adafactor keeps sums over rows and columns, which cannot be split over processes.",
        "Use adamw_torch, or distributed.strategy: ddp.",
    ),
    Rule(
        "4-bit weights are split by fsdp2",
        ("spec",),
        ("training.method", "distributed.fsdp"),
        "self.training.method != 'qlora' || !has(self.distributed.fsdp) || !has(self.distributed.fsdp.preset) "
        "|| self.distributed.fsdp.preset == 'fsdp2'",
        lambda job: (
            job.training.method != "qlora" or job.distributed.fsdp is None or job.distributed.fsdp.preset in (None, "fsdp2")
        ),
        "FSDP1 wants one type for all weights of a layer, and 4-bit weights are not moved out of a GPU.",
        "Use fsdp.preset: fsdp2, or method: lora.",
    ),
)
