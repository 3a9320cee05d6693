"""The model asked before training and after: `python -m finetune_trainer.sample OUTPUT PREPARED`.

A child of node 0's launcher, when the job is done and all ranks are gone: every strategy has left the same files, and the node's
memory is free. Both models are read from files, as `finetune chat` reads them; under method qlora the base is not in 4 bits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from finetune_api.contract import RESOLVED_JOB_FILE
from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob
from finetune_trainer.data.reader import PreparedRows, open_rows
from finetune_trainer.lifeline import die_with
from finetune_trainer.memory import free_memory
from finetune_trainer.model.adapter import load_adapter
from finetune_trainer.model.answer import complete, speaking_dtype
from finetune_trainer.model.load import load_weights, stored_dtype
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel, Prepared
from finetune_trainer.results.samples import Sample, Samples, write_samples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Longest answer. Enough to see what has changed.
MAX_NEW_TOKENS = 96
#: Longest prompt: its last tokens. What goes before is not what makes the answers differ.
MAX_PROMPT = 1024
#: Besides the weights: what reading them, and the tokens said so far, take.
ROOM = 1.5


@dataclass(frozen=True)
class Question:
    """Tokens of a prompt, and those that the data has after it."""

    prompt: NDArray[np.int32]
    expected: NDArray[np.int32]


def ask(job: FineTuneJob, prepared: Prepared, output: Path, free: int | None = None) -> Samples:
    """Both models' answers to `output.samples` questions, the most likely token each time.

    Args:
        free: bytes of memory for the model; None: as many as there are.

    Raises:
        UserError: a model cannot be loaded.
    """
    needed, free = _needed(prepared.model, job.model.trust_remote_code), _free() if free is None else free
    if needed > free:
        return Samples(missing=f"The model takes about {needed / 1e9:.2g} GB to be asked, and node 0 has {free / 1e9:.2g} GB free.")
    result = LocalModel(str(output), None, str(output))
    tokenizer = load_tokenizer(result, job.model.trust_remote_code)
    chosen = list(questions(open_rows(Path(prepared.data)), job.spec.output.samples))
    base = _load(prepared.model, job)
    before = _answers(base, tokenizer, chosen)
    if job.spec.training.has_adapter:
        trained: Any = load_adapter(base, output).eval()
    else:
        del base
        trained = _load(result, job)
    after = _answers(trained, tokenizer, chosen)
    return Samples(
        tuple(
            Sample(_text(tokenizer, question.prompt), _text(tokenizer, question.expected), *said)
            for question, *said in zip(chosen, before, after, strict=True)
        )
    )


def questions(rows: PreparedRows, count: int) -> Iterator[Question]:
    """So many samples from all over the evaluation data, else the training data, cut where the first answer begins.

    Where all of a sample is trained, as in texts, there is no such place: its first half is the prompt.
    """
    split = rows.eval or rows.train
    for number in np.linspace(0, split.samples, min(count, split.samples), endpoint=False, dtype=int).tolist():
        ids, trained = split.sample(number)
        start = int(np.argmax(trained)) if not trained[1:].all() else len(ids) // 2
        stop = start + int(np.argmin(np.append(trained[start:], False)))
        yield Question(ids[:start][-MAX_PROMPT:], ids[start:stop][:MAX_NEW_TOKENS])


def _needed(model: LocalModel, trusted: bool) -> int:
    """Bytes that the model takes in the type in which it answers."""
    import torch

    dtype, stored = (getattr(torch, name) for name in (speaking_dtype(), stored_dtype(model, trusted)))
    on_disk = sum(file.stat().st_size for file in Path(model.folder).glob("*.safetensors"))
    return int(ROOM * on_disk * dtype.itemsize / stored.itemsize)


def _free() -> int:
    """Bytes that are free on the GPU, or in memory where there is none."""
    import torch

    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else free_memory()


def _load(local: LocalModel, job: FineTuneJob) -> Any:
    import torch

    model: Any = load_weights(local, speaking_dtype(), trust_remote_code=job.model.trust_remote_code)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _answers(model: Any, tokenizer: PreTrainedTokenizerBase, chosen: list[Question]) -> list[str]:
    return [complete(model, tokenizer, question.prompt.tolist(), MAX_NEW_TOKENS).strip() for question in chosen]


def _text(tokenizer: PreTrainedTokenizerBase, ids: NDArray[np.int32]) -> str:
    return str(tokenizer.decode(ids.tolist(), skip_special_tokens=True)).strip()


def main(output: Path, prepared_file: Path) -> None:
    """Ask, and write what was said, or why nothing was."""
    die_with(os.getppid())
    disable_progress_bar()
    set_verbosity_error()
    try:
        samples = ask(load_job(output / RESOLVED_JOB_FILE), Prepared.read(prepared_file), output)
    except Exception as error:
        samples = Samples(missing=f"The model could not be asked ({type(error).__name__}: {error}).")
    write_samples(output, samples)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
