"""The cache: what a changed setting makes anew, and that a folder is whole or not there."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune_api.spec import FineTuneJob
from finetune_trainer.data.cache import ArrayFile, cached, is_complete
from finetune_trainer.data.prepare import prepare_data
from word_tokenizers import QWEN3, SMOL, word_tokenizer

HEADER = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "x"}}
Change = Callable[[dict[str, Any]], None]


def dataset(**values: Any) -> Change:
    return lambda spec: spec["dataset"].update(values)


def chats(**values: Any) -> Change:
    return lambda spec: spec["dataset"]["sources"][0].update(values)


def training(**values: Any) -> Change:
    return lambda spec: spec["training"].update(values)


def nothing(spec: dict[str, Any]) -> None:
    pass


#: What is changed -> how many of the two sources' tokens (a chat, a text), and whether the plan, are made anew.
CHANGES: dict[str, tuple[Change, int, int]] = {
    "nothing": (nothing, 0, 0),
    "learning rate": (training(learningRate=1e-3), 0, 0),
    "batch size": (training(perDeviceTrainBatchSize=4), 0, 0),
    "seed": (training(seed=7), 0, 1),
    "stage": (training(stage="pt"), 1, 1),
    "packing": (dataset(packing=True), 0, 1),
    "eval fraction": (dataset(evalFraction=0.5), 0, 1),
    "max length": (dataset(maxLength=40), 2, 1),
    "loss on": (dataset(lossOn="all"), 1, 1),
    "end of turn": (dataset(trainEndOfTurn=False), 1, 1),
    "control tokens": (dataset(allowControlTokens=True), 2, 1),
    "template": (dataset(chatTemplate="chatml"), 1, 1),
    "weight": (chats(weight=2.0), 0, 1),
    "columns": (chats(columns={"role": "role"}), 1, 1),
    "another source besides": (
        lambda spec: spec["dataset"].update(evalSources=[{"uri": "file://more.jsonl", "format": "text"}]),
        1,
        1,
    ),
}


def job(change: Change) -> FineTuneJob:
    sources = [{"uri": "file://chat.jsonl", "format": "openai"}, {"uri": "file://text.jsonl", "format": "text"}]
    spec: dict[str, Any] = {"model": {"source": "file:///m"}, "dataset": {"sources": sources}, "training": {}}
    change(spec)
    return FineTuneJob.model_validate({**HEADER, "spec": spec})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "chat.jsonl").write_text("\n".join([json.dumps({"messages": talk})] * 4))
    (tmp_path / "text.jsonl").write_text('{"text": "a b"}\n{"text": "b"}')
    (tmp_path / "more.jsonl").write_text('{"text": "c"}')
    return tmp_path


def prepare(folder: Path, change: Change = nothing, template: str = SMOL, words: str = "ab", eos: str = "<|im_end|>") -> set[Path]:
    prepare_data(job(change), word_tokenizer(words, template, eos=eos), {}, folder, folder / "cache", lambda _: None)
    return layers(folder)


def layers(folder: Path) -> set[Path]:
    return {path.relative_to(folder / "cache") for path in (folder / "cache").glob("*/*")}


def made(before: set[Path], after: set[Path]) -> tuple[int, int]:
    new = after - before
    return sum(path.parts[0] == "tokens" for path in new), sum(path.parts[0] == "plan" for path in new)


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_makes_anew_what_depends_on_it(folder: Path, name: str) -> None:
    change, tokens, plan = CHANGES[name]
    before = prepare(folder)
    stamps = {path: (folder / "cache" / path / "meta.json").stat().st_mtime_ns for path in before}
    assert made(before, prepare(folder, change)) == (tokens, plan)
    assert stamps == {path: (folder / "cache" / path / "meta.json").stat().st_mtime_ns for path in before}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"template": QWEN3}, (1, 1)),
        ({"words": "abc"}, (2, 1)),
        ({"eos": "<|endoftext|>"}, (2, 1)),
    ],
)
def test_another_tokenizer_makes_tokens_anew(folder: Path, changes: dict[str, str], expected: tuple[int, int]) -> None:
    assert made(prepare(folder), prepare(folder, **changes)) == expected


def test_content_counts_and_the_name_does_not(folder: Path) -> None:
    before = prepare(folder)
    with (folder / "text.jsonl").open("a") as stream:
        stream.write('\n{"text": "a"}')
    after = prepare(folder)
    assert made(before, after) == (1, 1)
    (folder / "chat.jsonl").rename(folder / "other.jsonl")
    assert made(after, prepare(folder, chats(uri="file://other.jsonl"))) == (0, 1)


def build(folder: Path) -> dict[str, Any]:
    with ArrayFile(folder / "a.npy", "<i4") as array:
        array.append(np.arange(1000))
    return {"answer": 42}


def test_a_damaged_folder_is_made_again(tmp_path: Path) -> None:
    target = cached(tmp_path, "k", build)
    os.truncate(target / "a.npy", 100)
    assert not is_complete(target)
    assert is_complete(cached(tmp_path, "k", build))
    (target / "meta.json").write_text('{"answer"')
    assert not is_complete(target)
    assert is_complete(cached(tmp_path, "k", build))
    assert np.load(target / "a.npy", mmap_mode="r").tolist() == list(range(1000))


def test_a_failing_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        build(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached(tmp_path, "k", fail)
    assert list(tmp_path.iterdir()) == []


def _build_slowly(layer: Path, started: Any) -> None:
    def slow(folder: Path) -> dict[str, Any]:
        meta = build(folder)
        started.set()
        time.sleep(0.3)
        return meta

    cached(layer, "k", slow)


def test_killed_midway_leaves_no_folder_of_that_name(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_build_slowly, args=(tmp_path, started))
    process.start()
    assert started.wait(20)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "k").exists()
    [left] = tmp_path.iterdir()
    assert is_complete(cached(tmp_path, "k", build))
    os.utime(left, (0, 0))
    cached(tmp_path, "other", build)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k", "other"]


def test_two_processes_at_once_use_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_build_slowly, args=(tmp_path, context.Event())) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
    assert is_complete(tmp_path / "k")


def test_an_array_file_is_an_npy_file_of_any_length(tmp_path: Path) -> None:
    for length in (0, 1, 100_000):
        with ArrayFile(tmp_path / "a.npy", "<i8", 2) as array:
            for part in np.array_split(np.arange(2 * length).reshape(-1, 2), 7):
                array.append(part)
        found = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
        assert found.shape == (length, 2)
        assert (found.ravel() == np.arange(2 * length)).all()
