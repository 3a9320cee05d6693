"""Writes the report of output folders."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from finetune_trainer.results.report.page import page
from finetune_trainer.results.report.run import read_run


def write_report(outputs: Mapping[str, Path], path: Path) -> None:
    """Write one HTML file, replacing an earlier one at once.

    Args:
        outputs: name of a run, different from every other's -> its output folder.

    Raises:
        NothingLogged: a folder has no line of a step.
        OSError: a folder cannot be read, or the file not be written.
    """
    text = page([read_run(name, folder) for name, folder in outputs.items()], time.time())
    scratch = path.with_name(f".{path.name}.tmp")
    scratch.write_text(text)
    scratch.replace(path)
