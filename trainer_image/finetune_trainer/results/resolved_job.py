"""The job as it ran, beside its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune_api.contract import RESOLVED_JOB_FILE
from finetune_api.spec import FineTuneJob
from finetune_api.yaml_writer import to_yaml


def write_resolved_job(job: FineTuneJob, output_dir: Path) -> Path:
    """Write finetunejob.yaml, all defaults filled in, atomically. Returns its path."""
    path = output_dir / RESOLVED_JOB_FILE
    scratch = path.with_suffix(".tmp")
    scratch.write_text(to_yaml(job.to_manifest()))
    scratch.replace(path)
    return path


def public_manifest(job: FineTuneJob) -> dict[str, Any]:
    """The job without what may be secret, the values of environment variables: for what people pass on to others."""
    manifest = job.to_manifest()
    for variable in manifest["spec"]["trainer"]["env"]:
        variable["value"] = "(not shown)"
    return manifest
