"""What the model answered before training and after: the right samples, the right models, and never in anybody's way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.jobs import write_job
from cli.taught import ANSWER, QUESTION, teach
from finetune_api.contract import RESOLVED_JOB_FILE
from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob
from finetune_trainer.data.prepare import prepare_data
from finetune_trainer.data.reader import open_rows
from finetune_trainer.memory import free_memory
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel, Prepared
from finetune_trainer.results.samples import Sample, Samples, read_samples, write_samples
from finetune_trainer.sample import ask, questions

CHAT = {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]}
LONGER = {"messages": [*CHAT["messages"], {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."}]}


def prepared(job_file: Path, model: Path, rows: list[dict], **dataset: object) -> tuple[FineTuneJob, Prepared]:
    """The job with that data and one sample to show, and what prepare makes of it."""
    tmp_path = job_file.parent
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = "text" in rows[0]
    source = {"uri": f"file://{data}", "format": "text" if text else "openai"}
    stage = f"spec.training.stage={'pt' if text else 'sft'}"
    overrides = [f"spec.dataset={json.dumps({'sources': [source], **dataset})}", "spec.output.samples=1", stage]
    job = load_job(job_file, overrides)
    local = LocalModel(str(model), None, str(model))
    made = prepare_data(job, load_tokenizer(local, False), {}, tmp_path, tmp_path / "cache", print)
    return job, Prepared(local, str(made.folder), made.counts, made.warnings)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_before_and_after(tiny_llama: Path, tmp_path: Path, method: str) -> None:
    output = teach(tmp_path, f"file://{tiny_llama}", tiny_llama, {}, method=method)
    asked = ask(*prepared(output / RESOLVED_JOB_FILE, tiny_llama, [CHAT]), output)
    (sample,) = asked.samples
    assert QUESTION in sample.prompt and ANSWER not in sample.prompt
    assert sample.after == sample.expected == ANSWER
    assert ANSWER not in sample.before and asked.missing == ""


def test_a_model_that_does_not_fit_is_not_loaded(tiny_llama: Path, tmp_path: Path) -> None:
    output = teach(tmp_path, f"file://{tiny_llama}", tiny_llama, {})
    asked = ask(*prepared(output / RESOLVED_JOB_FILE, tiny_llama, [CHAT]), output, free=100_000)
    assert asked.samples == () and "node 0 has 0.0001 GB free" in asked.missing


def test_a_sample_is_cut_where_the_first_answer_begins(tiny_llama: Path, tmp_path: Path) -> None:
    _, made = prepared(write_job(tmp_path), tiny_llama, [LONGER])
    tokenizer = load_tokenizer(made.model, False)
    (question,) = questions(open_rows(Path(made.data)), 3)
    assert tokenizer.decode(question.prompt).endswith(
        tokenizer.apply_chat_template(CHAT["messages"][:1], tokenize=False, add_generation_prompt=True)
    )
    assert tokenizer.decode(question.expected, skip_special_tokens=True).strip() == ANSWER


def test_a_text_is_cut_in_the_middle(tiny_llama: Path, tmp_path: Path) -> None:
    _, made = prepared(write_job(tmp_path), tiny_llama, [{"text": "one two three four five six seven eight"}])
    rows = open_rows(Path(made.data))
    (question,) = questions(rows, 1)
    ids, _ = rows.train.sample(0)
    assert len(question.prompt) == len(ids) // 2
    assert np.array_equal(np.concatenate([question.prompt, question.expected]), ids)


def test_samples_come_from_all_over_the_evaluation_data(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": str(n)}, {"role": "assistant", "content": str(n)}]} for n in range(30)]
    _, made = prepared(write_job(tmp_path), tiny_llama, rows, evalFraction=0.4)
    split = open_rows(Path(made.data))
    assert split.eval is not None and split.eval.samples == 12
    for count, numbers in ((3, [0, 4, 8]), (16, range(12))):
        wanted = [split.eval.sample(number)[0].tolist() for number in numbers]
        found = [[*question.prompt.tolist(), *question.expected.tolist()] for question in questions(split, count)]
        assert [ids[: len(begin)] for ids, begin in zip(wanted, found, strict=True)] == found


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / ".finetune").mkdir()
    assert read_samples(tmp_path) is None
    samples = Samples((Sample("a", "b", "c", "d"),))
    write_samples(tmp_path, samples)
    assert read_samples(tmp_path) == samples
    (tmp_path / ".finetune/samples.json").write_text("{}")
    assert "cannot be read" in read_samples(tmp_path).missing


def test_the_limit_of_a_container_counts_without_what_it_only_caches(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  99 kB\nMemAvailable:  8000 kB\n")
    assert free_memory(tmp_path, meminfo) == 8_192_000
    (tmp_path / "memory.stat").write_text("anon 300000\nfile 600000\n")
    for limit, free in (("1000000", 700_000), ("max", 8_192_000), ("90000000", 8_192_000)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert free_memory(tmp_path, meminfo) == free
