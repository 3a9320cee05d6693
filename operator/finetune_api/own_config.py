"""A configuration of DeepSpeed or FSDP that a user brings along: which settings it may have, and whether they fit the job.

Inline ones are checked by `finetune validate` and by the operator before anything is created, those in a ConfigMap when the job is
prepared. What is not on the lists is refused, because the libraries ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finetune_api import deepspeed_config, fsdp_config
from finetune_api.problems import Problem
from finetune_api.spec import FineTuneJobSpec


def inline_problems(spec: FineTuneJobSpec) -> list[Problem]:
    """What is wrong with `distributed.deepspeed.config` and `distributed.fsdp.config`, where there is one."""
    found: list[Problem] = []
    for name in ("deepspeed", "fsdp"):
        settings = getattr(spec.distributed, name)
        if settings is not None and settings.config is not None:
            found += problems(name, settings.config, spec, f"spec.distributed.{name}.config")
    return found


def problems(library: str, config: Mapping[str, Any], spec: FineTuneJobSpec, at: str) -> Iterator[Problem]:
    """What is wrong with a configuration.

    Args:
        library: deepspeed or fsdp.
        at: where it stands, for the paths of the problems.
    """
    check = deepspeed_config.problems if library == "deepspeed" else fsdp_config.problems
    for key, message, hint in check(config, spec):
        yield Problem(f"{at}.{key}" if key else at, message, hint)
