"""Find the model that a job names, or fetch it, and make sure that it is whole before anything else happens. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finetune_api.spec import Model
from finetune_trainer.errors import UserError
from finetune_trainer.model.files import check_files, needed_files
from finetune_trainer.model.hub import fetch_from_hub
from finetune_trainer.model.progress import Report
from finetune_trainer.mounts import local_path
from finetune_trainer.prepared import LocalModel


def fetch_model(model: Model, mounts: Mapping[str, str], base: Path, report: Report) -> LocalModel:
    """The folder behind spec.model.source, its files checked.

    Args:
        mounts: claim -> folder, for pvc:// (see mounts.local_path).
        base: folder that relative file:// paths are taken from.
        report: takes progress lines and warnings.

    Raises:
        UserError: what is wrong with the source, in words (see files.check_files and hub.fetch_from_hub).
    """
    scheme, _, rest = model.source.partition("://")
    if scheme == "hf":
        repo, _, revision = rest.partition("@")
        return fetch_from_hub(repo, revision or None, model.gguf_file, model.trust_remote_code, report)
    folder = local_path(model.source, mounts, base).absolute()
    if folder.is_file():
        hint = (
            f"Name its folder there, and the file in ggufFile: {folder.name}." if folder.suffix == ".gguf" else "Name its folder."
        )
        raise UserError("ModelNotFound", f"spec.model.source {model.source} is a file, not a folder.", hint)
    if not folder.is_dir():
        raise UserError("ModelNotFound", f"spec.model.source {model.source}: there is no folder {folder}.", _nearest(folder))
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    needed_files(names, model.gguf_file, model.trust_remote_code, str(folder))
    check_files(folder, model.gguf_file)
    return LocalModel(folder=str(folder), gguf_file=model.gguf_file, origin=str(folder))


def _nearest(folder: Path) -> str:
    parent = folder.parent
    while not parent.is_dir():
        parent = parent.parent
    entries = sorted(entry.name for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return f"{parent} has: {', '.join(entries[:8]) or 'no folders'}."
