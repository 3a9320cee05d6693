"""Turn a GGUF file into a plain Hugging Face folder once, so that every rank maps its weights instead of dequantizing them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from finetune_trainer.model.progress import Report
from finetune_trainer.prepared import LocalModel


def materialise_gguf(local: LocalModel, cache: Path, report: Report) -> LocalModel:
    """The same model as float32 safetensors with its tokenizer, in `cache`, keyed by the content of the GGUF file.

    SmolLM2-135M, seconds of processor time: 9 once, and then 0.1 per process to load the result, instead of 14 per process. Imports
    torch. A model that is no GGUF file is returned as it is.
    """
    if not local.gguf_file:
        return local
    source = Path(local.folder) / local.gguf_file
    report(f"reading {source.name}")
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache / f"gguf-{digest[:32]}"
    if not folder.is_dir():
        report(f"converting {source.name} to float32 weights (once; it is kept in {cache})")
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=cache))
        try:
            _convert(local, scratch)
            scratch.chmod(0o755)
            if not folder.is_dir():
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return LocalModel(folder=str(folder), gguf_file=None, origin=local.origin, revision=local.revision)


def _convert(local: LocalModel, folder: Path) -> None:
    from finetune_trainer.model.load import load_weights
    from finetune_trainer.model.save import save_pretrained
    from finetune_trainer.model.tokenizer import load_tokenizer
    from finetune_trainer.upstream.gguf_rereads import read_once
    from finetune_trainer.upstream.unwrapping_imports import without_deepspeed

    without_deepspeed()
    with read_once():
        model = load_weights(local, "float32")
        save_pretrained(model, load_tokenizer(local, trust_remote_code=False), folder)
