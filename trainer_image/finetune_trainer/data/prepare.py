"""Everything from a job's sources to the rows that ranks train on; done once, before any process group exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api.spec import Dataset, FineTuneJob
from finetune_trainer.data.cache import read_meta
from finetune_trainer.data.choice import apply_template_choice, require_chat_template
from finetune_trainer.data.plan import PlanSettings, PlanSource, plan_counts, plan_folder
from finetune_trainer.data.sources import open_source
from finetune_trainer.data.tokens import Tokeniser
from finetune_trainer.errors import UserError


@dataclass(frozen=True)
class PreparedData:
    """What prepare_data made.

    Attributes:
        folder: the plan, for reader.open_rows.
        counts: read (rows), samples, tokens, trained_tokens, and rows by what became of them (samples.Fate), over all sources;
            train and eval: {samples, rows, tokens} of one epoch; sources: the same counts as over all, and uri, for each source.
        warnings: lines for people.
    """

    folder: Path
    counts: dict[str, Any]
    warnings: list[str]


def prepare_data(
    job: FineTuneJob, tokenizer: Any, mounts: Mapping[str, str], base: Path, cache: Path, report: Callable[[str], None]
) -> PreparedData:
    """Read, tokenise and pack the job's data, or find all that in the cache.

    Args:
        tokenizer: a fast transformers tokenizer; gets the job's chat template (choice.apply_template_choice).
        mounts, base: where pvc://, configmap:// and relative file:// are found (mounts.local_path).
        cache: folder of the two layers, tokens/ and plan/; can be shared by jobs and processes.
        report: takes progress lines.

    Raises:
        UserError: BadDataRow with file and line; NothingToTrain; NoChatTemplate; and those of sources.open_source.
    """
    spec = job.spec
    dataset = job.dataset
    apply_template_choice(tokenizer, dataset.chat_template)
    if any(source.format != "text" for source in (*dataset.sources, *dataset.eval_sources)):
        require_chat_template(tokenizer)
    train_all = dataset.loss_on == "all" or spec.training.stage == "pt"
    tokeniser = Tokeniser(tokenizer, dataset, train_all=train_all, layer=cache / "tokens", report=report)
    sources, counts, warnings = [], [], []
    for split, listed in (("train", dataset.sources), ("eval", dataset.eval_sources)):
        for source in listed:
            report(f"reading {source.uri}")
            content = open_source(source, mounts, base, report)
            tokens = tokeniser.folder(source, content)
            sources.append(PlanSource(tokens, source.weight, split, source.uri, content.names))
            counts.append({"uri": source.uri, "split": split, **read_meta(tokens)["counts"]})
            warnings += content.notes
    _refuse_nothing(counts, dataset)
    report("planning rows")
    settings = PlanSettings(dataset.eval_fraction, dataset.max_length if dataset.packing else None, spec.training.seed)
    folder = plan_folder(cache / "plan", sources, settings)
    total: Counter[str] = Counter()
    for each in counts:
        total.update({name: value for name, value in each.items() if isinstance(value, int)})
        warnings += _cuts(each, dataset.max_length)
    return PreparedData(folder, {**total, **plan_counts(folder), "sources": counts}, warnings)


def _refuse_nothing(counts: list[dict[str, Any]], dataset: Dataset) -> None:
    """Raise if no sample of a split is left, and say what became of the rows."""
    for split in ("train", "eval"):
        mine = [each for each in counts if each["split"] == split]
        if mine and not any(each["samples"] for each in mine):
            read, too_long, untrained = (
                sum(each.get(name, 0) for each in mine) for name in ("read", "too_long", "nothing_trained")
            )
            reasons = [
                f"in {too_long} the question alone fills maxLength {dataset.max_length}" if too_long else "",
                f"in {untrained} no token carries loss" if untrained else "",
            ]
            raise UserError(
                "NothingToTrain" if split == "train" else "NothingToEvaluate",
                f"None of the {read} rows is left to {split} on: {' and '.join(filter(None, reasons))}.",
                "Raise dataset.maxLength." if too_long else "Check dataset.lossOn and the chat template with `finetune inspect`.",
            )


def _cuts(counts: dict[str, Any], max_length: int) -> list[str]:
    """What was lost of one source, in words."""
    lost = {
        "turns_cut": "lost their oldest turns",
        "answer_cut": "lost the end of their last answer",
        "too_long": "were dropped, because the last question leaves no room for an answer",
        "nothing_trained": "were dropped, because no token carries loss",
    }
    parts = [f"{counts[name]} {words}" for name, words in lost.items() if counts.get(name)]
    return [f"{counts['uri']}: of {counts['read']} rows, {'; '.join(parts)} (maxLength {max_length})."] if parts else []
