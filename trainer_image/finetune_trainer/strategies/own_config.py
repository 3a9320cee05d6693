"""The configuration of DeepSpeed or FSDP that a user has brought along: found and checked before any process group exists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from finetune_api.own_config import problems
from finetune_api.spec import FineTuneJob
from finetune_api.strategies import configuration_uris
from finetune_trainer.errors import UserError
from finetune_trainer.mounts import local_path


def read_configuration(job: FineTuneJob, mounts: Mapping[str, str], base: Path) -> dict[str, Any] | None:
    """The configuration of `job`, inline or from its ConfigMap; None for a preset.

    Raises:
        UserError: MountMissing, ConfigNotFound, BadConfig.
    """
    distributed = job.spec.distributed
    for settings in (distributed.deepspeed, distributed.fsdp):
        if settings is not None and settings.config is not None:
            return dict(settings.config)  # Its problems are the job's: found when it was read.
    for library, uri in configuration_uris(distributed):
        return _checked(library, uri, local_path(uri, mounts, base), job)
    return None


def _checked(library: str, uri: str, path: Path, job: FineTuneJob) -> dict[str, Any]:
    at = f"spec.distributed.{library}.configMapRef"
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError("ConfigNotFound", f"{at}: there is no {path}.", f"Put the configuration there ({uri}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError("BadConfig", f"{at}: {path.name} is neither YAML nor JSON: {error}.") from error
    if not isinstance(content, dict):
        raise UserError("BadConfig", f"{at}: {path.name} holds no settings.", "Write names and values, as in ds_config.json.")
    found = [str(problem) for problem in problems(library, content, job.spec, f"{at} ({path.name})")]
    if found:
        raise UserError("BadConfig", " ".join(found))
    return content
