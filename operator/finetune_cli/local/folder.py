"""The output folder of a local run: what only `finetune run` notes in it, and what `--fresh` deletes from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from finetune_api import contract as c
from finetune_cli.local.lock import LOCK_FILE
from finetune_trainer.errors import UserError
from finetune_trainer.results.earlier_run import RUN_FILE, Refusal, Refused

LOGS_DIR = "logs"
#: Names at the top of an output folder that a run writes. Whatever else lies there is never deleted.
WRITTEN_BY_A_RUN = (
    c.STATE_DIR, c.CHECKPOINTS_DIR, c.MERGED_DIR, LOGS_DIR, c.TENSORBOARD_DIR,
    c.LOG_FILE, c.PLOT_FILE, c.REPORT_FILE, c.RESOLVED_JOB_FILE, c.MODEL_CARD_FILE,
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
    "tokenizer*.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template.jinja",
)  # fmt: skip
_FRESH = "Start over with --fresh, or choose another folder with --output DIR."
_HINTS: Mapping[Refusal, str] = {
    "OutputNotOurs": "Choose another folder with --output DIR.",
    "OutputUnreadable": _FRESH,
    "OutputOfAnotherJob": _FRESH,
    "SettingsChanged": f"Put them back to continue. {_FRESH}",
}


def refusal(refused: Refused) -> UserError:
    """A refused folder as an error that says which options help."""
    return UserError(refused.reason, refused.problem, _HINTS[refused.reason])


def write_run(output: Path, job_dir: Path, mounts: Mapping[str, str]) -> None:
    """Write run.json, {"job_dir", "mounts"}, atomically."""
    run = {"job_dir": str(job_dir), "mounts": dict(mounts)}
    path = output / c.STATE_DIR / RUN_FILE
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(run, indent=1))
    scratch.replace(path)


@dataclass(frozen=True)
class Deletion:
    """A file or folder that `--fresh` removes; size in bytes."""

    path: Path
    files: int
    size: int


def deletions(output: Path) -> list[Deletion]:
    """What `--fresh` removes from a run of ours, the largest first. Other people's files in it are left out."""
    return sorted((_measure(path) for path in output.iterdir() if _written_by_a_run(path.name)), key=lambda found: -found.size)


def delete(found: Sequence[Deletion]) -> None:
    """Remove them. The folder's lock stays, because whoever waits for it has this very file open. Links are not followed."""
    for item in found:
        if item.path.is_symlink() or item.path.is_file():
            item.path.unlink()
        elif item.path.name == c.STATE_DIR:
            delete([Deletion(path, 0, 0) for path in item.path.iterdir() if path.name != LOCK_FILE])
        else:
            shutil.rmtree(item.path)


def _written_by_a_run(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in WRITTEN_BY_A_RUN)


def _measure(path: Path) -> Deletion:
    if path.is_symlink() or path.is_file():
        return Deletion(path, 1, path.lstat().st_size)
    sizes = [inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir()]
    return Deletion(path, len(sizes), sum(sizes))
