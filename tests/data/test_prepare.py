"""From files to rows: formats, provenance, weights, evaluation, splitting of texts, and what is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.spec import FineTuneJob
from finetune_trainer.data.plan import repeated, set_aside
from finetune_trainer.data.prepare import PreparedData, prepare_data
from finetune_trainer.data.reader import Row, Rows, open_rows
from word_tokenizers import SMOL, word_tokenizer

WORDS = [*"abcdefghijklmnopqrstuvwxyz", *map(str, range(200))]


def make_job(sources: list[dict[str, Any]], stage: str = "sft", seed: int = 42, **dataset: Any) -> FineTuneJob:
    spec = {
        "model": {"source": "file:///m"},
        "dataset": {"sources": sources, **dataset},
        "training": {"stage": stage, "seed": seed},
    }
    header = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "x"}}
    return FineTuneJob.model_validate({**header, "spec": spec})


def prepare(folder: Path, job: FineTuneJob, **mounts: str) -> PreparedData:
    tokenizer = word_tokenizer(WORDS, SMOL, bos="<|begin_of_text|>")
    return prepare_data(job, tokenizer, mounts, folder, folder / "cache", lambda _: None)


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def words(ids: np.ndarray) -> str:
    return " ".join(word_tokenizer(WORDS, None).convert_ids_to_tokens(ids.tolist())).replace("\n", "⏎")


def all_samples(rows: Rows) -> list[str]:
    return [words(rows.sample(number)[0]) for number in range(rows.samples)]


ALPACA = {"instruction": "a b", "input": "c", "output": "d", "system": "s", "history": [["e", "f"], ["g", "h"]]}
TALK = [
    ("system", "s"),
    ("user", "e"),
    ("assistant", "f"),
    ("user", "g"),
    ("assistant", "h"),
    ("user", "a b\nc"),
    ("assistant", "d"),
]
NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
AS_TEXT = " ".join(f"<|im_start|> {role} ⏎ {text} <|im_end|> ⏎".replace("\n", " ⏎ ") for role, text in TALK)


@pytest.mark.parametrize(
    ("format_", "row", "columns"),
    [
        ("alpaca", ALPACA, {}),
        ("alpaca", {"Q": "a b", "C": "c", "A": "d", "S": "s", "H": ALPACA["history"]},
         {"instruction": "Q", "input": "C", "output": "A", "system": "S", "history": "H"}),
        ("alpaca", {**ALPACA, "instruction": "a b\nc", "input": None}, {}),
        ("openai", {"messages": [{"role": r, "content": t} for r, t in TALK]}, {}),
        ("openai", {"chat": [{"who": r, "says": t} for r, t in TALK]}, {"messages": "chat", "role": "who", "content": "says"}),
        ("sharegpt", {"conversations": [{"from": NAMES[r], "value": t} for r, t in TALK]}, {}),
        ("sharegpt", {"conversations": [{"from": r, "value": t} for r, t in TALK[1:]], "system": "s"}, {}),
        ("sharegpt", {"c": [{"w": r, "v": t} for r, t in TALK[1:]], "s": "s"},
         {"messages": "c", "role": "w", "content": "v", "system": "s"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["json", "lines.json", "jsonl", "parquet"])
def test_formats_in_all_kinds_of_files(
    tmp_path: Path, kind: str, format_: str, row: dict[str, Any], columns: dict[str, str]
) -> None:
    path = tmp_path / f"data.{kind}"
    if kind == "json":
        path.write_text(json.dumps([row, row], indent=1))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row, row]), path)
    else:
        write(path, [row, row])
    data = prepare(tmp_path, make_job([{"uri": f"file://{path.name}", "format": format_, "columns": columns}]))
    assert all_samples(open_rows(data.folder).train) == [AS_TEXT, AS_TEXT]


def test_a_text_is_its_tokens_between_begin_and_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa b\n\n <|im_end|> c\r\n")
    rows = open_rows(prepare(tmp_path, make_job([{"uri": "file://a.txt", "format": "text"}], stage="pt")).folder).train
    assert all_samples(rows) == ["<|begin_of_text|> a b <|im_end|>", "<|begin_of_text|> <| im_end |> c <|im_end|>"]
    assert rows[1].labels.tolist() == [-100, *rows[1].input_ids[1:].tolist()]
    assert [(o.file, o.row, o.line) for o in map(rows.origin, range(2))] == [
        (f"{tmp_path}/a.txt", 0, 1),
        (f"{tmp_path}/a.txt", 1, 3),
    ]


def test_a_long_text_is_split_so_that_each_token_is_predicted_once(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": " ".join(map(str, range(20)))}, {"text": "a"}])
    data = prepare(tmp_path, make_job([{"uri": "file://a.jsonl", "format": "text"}], maxLength=8))
    rows = open_rows(data.folder).train
    assert all_samples(rows) == [
        "<|begin_of_text|> 0 1 2 3 4 5 6",
        "6 7 8 9 10 11 12 13",
        "13 14 15 16 17 18 19 <|im_end|>",
        "<|begin_of_text|> a <|im_end|>",
    ]
    assert [int((rows[number].labels >= 0).sum()) for number in range(4)] == [7, 7, 7, 2]
    assert data.counts["chunked"] == 1 and data.counts["whole"] == 1 and data.counts["samples"] == 4


def test_chats_in_stage_pt_are_trained_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"instruction": "a", "output": "b"}])
    row = open_rows(prepare(tmp_path, make_job([{"uri": "file://a.jsonl", "format": "alpaca"}], stage="pt")).folder).train[0]
    assert row.labels.tolist() == [-100, *row.input_ids[1:].tolist()]


def test_a_folder_is_read_by_name_and_origins_are_kept(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "b.jsonl", [{"text": "b"}])
    (tmp_path / "set" / "a.json").write_text('[\n {"text": "a"},\n\n {"text": "c"}]')
    pq.write_table(pa.table({"text": ["d"]}), tmp_path / "set" / "c.parquet")
    (tmp_path / "set" / "notes.md").touch()
    (tmp_path / "set" / ".hidden.jsonl").touch()
    data = prepare(tmp_path, make_job([{"uri": "pvc://claim/set", "format": "text"}]), claim=str(tmp_path))
    rows = open_rows(data.folder).train
    assert [str(rows.origin(number)).removeprefix(f"{tmp_path}/set/") for number in range(4)] == [
        "a.json:2", "a.json:4", "b.jsonl:1", "c.parquet, row 0"
    ]  # fmt: skip
    assert data.warnings == [f"{tmp_path}/set: left out notes.md (not .json, .jsonl, .parquet, .txt)."]


def test_a_config_map_is_a_mounted_folder(tmp_path: Path) -> None:
    write(tmp_path / "k.jsonl", [{"text": "b"}])
    data = prepare(tmp_path, make_job([{"uri": "configmap://c/k.jsonl", "format": "text"}]), **{"configmap/c": str(tmp_path)})
    assert data.counts["samples"] == 1


@pytest.mark.parametrize("packing", [False, True])
def test_weights_and_packing_use_every_sample_as_often_as_asked(tmp_path: Path, packing: bool) -> None:
    for name, count in (("a", 10), ("b", 10), ("c", 11)):
        write(tmp_path / f"{name}.jsonl", [{"text": f"{name} {number}"} for number in range(count)])
    weights = {"a": 2.5, "b": 1, "c": 0.5}
    sources = [{"uri": f"file://{name}.jsonl", "format": "text", "weight": float(weight)} for name, weight in weights.items()]
    rows = open_rows(prepare(tmp_path, make_job(sources, maxLength=16, packing=packing)).folder).train
    found = list(rows)
    assert sorted(sample for row in found for sample in row.samples) == list(range(rows.samples))
    assert rows.row_lengths().tolist() == [len(row.input_ids) for row in found]
    uses: dict[str, list[int]] = {"a": [0] * 10, "b": [0] * 10, "c": [0] * 11}
    for row in found:
        check_row(row, 16, packing)
        start = 0
        for length in row.lengths:
            _, name, number, _ = words(row.input_ids[start : start + length]).split()
            uses[name][int(number)] += 1
            start += length
    assert sorted(uses["a"]) == [2] * 5 + [3] * 5
    assert uses["b"] == [1] * 10
    assert sorted(uses["c"]) == [0] * 5 + [1] * 6
    assert (len(found) < rows.samples) == packing


def check_row(row: Row, capacity: int, packing: bool) -> None:
    assert sum(row.lengths) == len(row.input_ids) == len(row.labels) <= capacity
    assert len(row.lengths) == len(row.samples) == (len(row.lengths) if packing else 1)
    starts = np.cumsum([0, *row.lengths[:-1]])
    assert (row.labels[starts] == -100).all()
    assert (row.input_ids.dtype, row.labels.dtype) == (np.int32, np.int32)


def test_eval_fraction_takes_samples_out_of_training_before_weights(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": str(number)} for number in range(100)])
    sources = [{"uri": "file://a.jsonl", "format": "text", "weight": 2.0}]
    data = prepare(tmp_path, make_job(sources, evalFraction=0.1))
    rows = open_rows(data.folder)
    assert rows.eval is not None
    train, held = all_samples(rows.train), all_samples(rows.eval)
    assert (len(train), len(set(train)), len(held)) == (180, 90, 10)
    assert not set(train) & set(held)
    assert data.counts["eval"] == {"samples": 10, "rows": 10, "tokens": 30}
    other = open_rows(prepare(tmp_path, make_job(sources, evalFraction=0.1, seed=1)).folder).eval
    assert other is not None and all_samples(other) != held


def test_eval_sources(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": "a"}])
    write(tmp_path / "b.jsonl", [{"text": "b"}, {"text": "c"}])
    job = make_job([{"uri": "file://a.jsonl", "format": "text"}], evalSources=[{"uri": "file://b.jsonl", "format": "text"}])
    rows = open_rows(prepare(tmp_path, job).folder)
    assert rows.eval is not None
    assert (len(rows.train), all_samples(rows.eval)) == (1, ["<|begin_of_text|> b <|im_end|>", "<|begin_of_text|> c <|im_end|>"])
    assert open_rows(prepare(tmp_path, make_job([{"uri": "file://a.jsonl", "format": "text"}])).folder).eval is None


def test_what_was_cut_and_dropped_is_counted_and_told(tmp_path: Path) -> None:
    long, short = "a " * 30, "a"
    rows = [[short, short], [short, short, short, short], [short, long], [long, short], [short, long, short, short]]
    write(tmp_path / "a.jsonl", [{"messages": [message(n, text) for n, text in enumerate(row)]} for row in rows])
    data = prepare(tmp_path, make_job([{"uri": "file://a.jsonl", "format": "openai"}], maxLength=24))
    assert {name: data.counts[name] for name in ("read", "whole", "turns_cut", "answer_cut", "too_long", "samples")} == {
        "read": 5, "whole": 1, "turns_cut": 2, "answer_cut": 1, "too_long": 1, "samples": 4,
    }  # fmt: skip
    assert data.warnings == [
        "file://a.jsonl: of 5 rows, 2 lost their oldest turns; 1 lost the end of their last answer; 1 were dropped, because the "
        "last question leaves no room for an answer (maxLength 24)."
    ]


def message(number: int, text: str) -> dict[str, str]:
    return {"role": "assistant" if number % 2 else "user", "content": text}


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": "a"}] * 300)
    lines: list[str] = []
    job = make_job([{"uri": "file://a.jsonl", "format": "text"}])
    prepare_data(job, word_tokenizer(WORDS, None), {}, tmp_path, tmp_path / "cache", lines.append)
    assert "tokenising a.jsonl 256/300" in lines


@given(total=st.integers(2, 200), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 2**32 - 1))
def test_set_aside_is_a_share_and_never_everything(total: int, fraction: float, seed: int) -> None:
    chosen = set_aside(total, fraction, seed)
    assert chosen.sum() == min(max(round(fraction * total), 1), total - 1)
    assert (chosen == set_aside(total, fraction, seed)).all()


@given(count=st.integers(0, 100), weight=st.floats(0.01, 5), seed=st.integers(0, 99))
def test_repeated_differs_by_at_most_one_use(count: int, weight: float, seed: int) -> None:
    uses = np.bincount(repeated(np.arange(count), weight, seed, 0), minlength=count)
    assert uses.sum() == int(weight) * count + round((weight - int(weight)) * count)
    assert set(uses.tolist()) <= {int(weight), int(weight) + 1}


def test_the_reader_imports_numpy_and_the_standard_library_only() -> None:
    heavy = {"torch", "transformers", "datasets", "pyarrow", "pandas", "pydantic", "tokenizers"}
    code = f"import sys, finetune_trainer.data.reader; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "[]"
