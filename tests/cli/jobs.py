"""Small jobs for the tests of the command line."""

from pathlib import Path
from typing import Any

import yaml

from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob


def write_job(folder: Path, name: str = "tiny", **spec: Any) -> Path:
    """A job that validates, with whole groups of spec replaced by `spec`."""
    manifest = {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": "file://model"},
            "dataset": {"sources": [{"uri": "file://pairs.jsonl", "format": "alpaca"}]},
            "training": {"precision": "fp32"},
            **spec,
        },
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def a_job(folder: Path, name: str = "tiny", **spec: Any) -> FineTuneJob:
    """The same, loaded."""
    return load_job(write_job(folder, name, **spec))
