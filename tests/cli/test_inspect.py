"""`finetune inspect` on a small model: what is shown, the JSON, and each warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import tiny
from finetune_cli.main import app


def pair(question: str, answer: str = "Yes.") -> dict[str, str]:
    return {"instruction": question, "output": answer}


@pytest.fixture
def folder(tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model").symlink_to(tiny_llama)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def inspect(folder: Path, rows: list[dict[str, str]], *options: str, format_: str = "alpaca", **dataset: Any) -> Result:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"uri": "pvc://claim/a.jsonl", "format": format_}
    spec = {"model": {"source": "file://model"}, "dataset": {"sources": [source], "maxLength": 128, **dataset}}
    job = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "x"}, "spec": spec}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return CliRunner().invoke(app, ["inspect", str(folder / "job.yaml"), "--mount", f"claim={folder}/data", *options])


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def test_json_has_tokens_labels_and_origin_of_each_sample(folder: Path) -> None:
    from transformers import AutoTokenizer

    result = inspect(folder, [pair("What is Paris?", "A city."), pair("What is Rome?")], "--json")
    assert result.exit_code == 0, result.output
    first, second = map(json.loads, result.output.splitlines())
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert tokenizer.decode(first["input_ids"]) == (
        "<|im_start|>user\nWhat is Paris?<|im_end|>\n<|im_start|>assistant\nA city.<|im_end|>\n"
    )
    assert tokenizer.decode([label for label in first["labels"] if label >= 0]) == "A city.<|im_end|>"
    assert all(label in (-100, token) for token, label in zip(first["input_ids"], first["labels"], strict=True))
    assert first["lengths"] == [len(first["input_ids"])]
    assert {key: second[key] for key in ("source", "row", "line")} == {"source": f"{folder}/data/a.jsonl", "row": 1, "line": 2}
    assert (folder / "xdg" / "finetune" / "inspect" / "tokens").is_dir()


def test_packed_rows_name_each_of_their_samples_and_no_pack_takes_them_apart(folder: Path) -> None:
    rows = [pair(f"Question {number}?") for number in range(6)]
    packed = [json.loads(line) for line in inspect(folder, rows, "--json", packing=True).output.splitlines()]
    apart = [json.loads(line) for line in inspect(folder, rows, "--json", "--no-pack", packing=True).output.splitlines()]
    assert len(packed) < len(apart) == 6
    assert sorted(sample["row"] for row in packed for sample in row["samples"]) == [row["row"] for row in apart] == list(range(6))
    limited = inspect(folder, rows, "--json", "--no-pack", "--limit", "2", "--cache", str(folder / "c"), packing=True)
    assert len(limited.output.splitlines()) == 2
    assert (folder / "c" / "plan").is_dir()


def test_people_see_text_loss_ids_counts_and_lengths(folder: Path) -> None:
    rows = [pair("What is \x1b[31mParis?", "A city."), *(pair(f"Question {number}?") for number in range(5)), pair("a " * 200)]
    result = inspect(folder, rows, "--limit", "1", "--set", "spec.dataset.evalFraction=0.2")
    assert result.exit_code == 0, result.output
    assert f"row 0: {folder}/data/a.jsonl:1: " in result.output
    assert "<|im_start|>assistant\n⟦A city.<|im_end|>⟧" in result.output
    assert "\\x1b[31mParis?" in result.output and "\x1b[31m" not in result.output
    assert result.output.count("row 0: ") == 1 and "row 1: " not in result.output
    assert "train: 5 samples in 5 rows" in result.output and "eval: 1 samples in 1 rows" in result.output
    assert "7 rows, 6 samples" in result.output and "1 dropped: no room for an answer" in flat(result)
    assert "lengths in tokens" in result.output and "█" in result.output


def test_the_eval_split(folder: Path) -> None:
    rows = [pair(f"Question {number}?") for number in range(5)]
    assert len(inspect(folder, rows, "--json", "--split", "eval", evalFraction=0.4).output.splitlines()) == 2
    result = inspect(folder, rows, "--json", "--split", "eval")
    assert (result.exit_code, "Set dataset.evalFraction or dataset.evalSources." in result.output) == (1, True)


@pytest.mark.parametrize(
    ("rows", "dataset", "warning"),
    [
        (
            [pair("a"), pair("b"), pair("a")],
            {},
            "1 training samples are exact copies of another one, for example DATA:3 and DATA:1.",
        ),
        (
            [pair("a"), pair("b")],
            {"evalSources": [{"uri": "pvc://claim/a.jsonl", "format": "alpaca"}]},
            "2 evaluation samples are also in training, for example DATA:1 and DATA:1.",
        ),
        ([pair("a")], {"trainEndOfTurn": False}, "No stop token carries loss in any sample"),
        ([pair("a", "b " * 200)], {}, "Most rows are too long for maxLength: 1 of 1 were cut or dropped."),
    ],
)
def test_warnings(folder: Path, rows: list[dict[str, str]], dataset: dict[str, Any], warning: str) -> None:
    result = inspect(folder, rows, **dataset)
    assert result.exit_code == 0, result.output
    assert warning.replace("DATA", f"{folder}/data/a.jsonl") in flat(result)


def test_sound_data_has_no_warnings_and_used_twice_is_no_copy(folder: Path) -> None:
    rows = [pair("a"), pair("b")]
    result = inspect(folder, rows, "--set", "spec.dataset.sources[0].weight=2")
    assert "train: 4 samples" in result.output
    assert flat(result).endswith("none")


def test_two_begins_of_text_are_a_warning(folder: Path) -> None:
    from transformers import AutoTokenizer

    (folder / "model").unlink()
    tiny.make_model(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.bos_token = tiny.PAD
    tokenizer.chat_template = "{{ bos_token + bos_token }}" + tiny.CHAT_TEMPLATE
    tokenizer.save_pretrained(folder / "model")
    assert "Samples begin with two begin-of-text tokens" in flat(inspect(folder, [pair("a")]))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([{"instruction": "a"}], [], "a.jsonl:1: no column 'output'; found: instruction."),
        ([pair("a")], ["--set", "spec.dataset.maxLenght=3"], "maxLength"),
        ([pair("a")], ["--mount", "other=/tmp"], "--mount other: nothing in the job uses it."),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    folder: Path, rows: list[dict[str, str]], options: list[str], words: str
) -> None:
    result = inspect(folder, rows, *options)
    assert (result.exit_code, words in result.output) == (1, True), result.output
    assert "Traceback" not in result.output


def test_a_job_with_its_own_trainer_has_nothing_to_look_at(folder: Path):
    spec = {"trainer": {"command": ["torchrun", "train.py"]}}
    job = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "x"}, "spec": spec}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    for command in (["inspect"], ["chat", "--once", "Hello?"]):
        result = CliRunner().invoke(app, [command[0], str(folder / "job.yaml"), *command[1:]])
        assert result.exit_code == 1
        assert "This job brings its own trainer (spec.trainer.command), and does not name a model." in result.output
