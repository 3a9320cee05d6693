"""Bad data: each case gets one error with file and line (or row), and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finetune_api.spec import FineTuneJob
from finetune_trainer.data.prepare import prepare_data
from finetune_trainer.errors import UserError
from word_tokenizers import SMOL, word_tokenizer

GOOD = {
    "alpaca": {"instruction": "q", "output": "a"},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "openai": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
    "text": {"text": "some text"},
}


def talk(*messages: Any) -> bytes:
    return line({"messages": list(messages)})


def say(role: Any, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def line(value: Any) -> bytes:
    return json.dumps(value).encode()


USER, ANSWER = say("user", "q"), say("assistant", "a")

#: format, third line of a JSONL file, what the message says after "data.jsonl:4: " (a blank line is before it).
LINES: dict[str, tuple[str, bytes, str]] = {
    "not JSON": ("openai", b'{"messages": [}', "not valid JSON: Expecting value (column 15)"),
    "cut off": ("openai", b'{"messages": [{"role"', "not valid JSON"),
    "two objects": ("text", b'{"text": "a"} {"text": "b"}', "not valid JSON: Extra data"),
    "nested without end": ("text", b"[" * 100_000, "not valid JSON: nested too deeply"),
    "not UTF-8": ("text", b'{"text": "caf\xe9"}', "byte 0xe9 at offset 59 is not UTF-8"),
    "a list": ("alpaca", b"[1]", "a row must be an object with named columns, not a list"),
    "a number": ("text", b"7", "a row must be an object with named columns, not a number"),
    "no column": ("alpaca", line({"question": "q", "answer": "a"}), "no column 'instruction'; found: question, answer."),
    "no answer column": ("alpaca", line({"instruction": "q"}), "no column 'output'; found: instruction."),
    "no text": ("text", line({}), "no column 'text'; found: none."),
    "no messages": ("openai", line({"conversations": []}), "no column 'messages'; found: conversations."),
    "no content": ("openai", talk({"role": "user"}), "messages[0]: no column 'content'; found: role."),
    "instruction is a number": ("alpaca", line({"instruction": 1, "output": "a"}), "instruction must be a text, not a number."),
    "output is null": ("alpaca", line({"instruction": "q", "output": None}), "output must be a text, not null."),
    "input is a list": ("alpaca", line({"instruction": "q", "input": [], "output": "a"}), "input must be a text, not a list."),
    "text is an object": ("text", line({"text": {}}), "text must be a text, not an object."),
    "empty text": ("text", line({"text": " \n"}), "the text is empty."),
    "history is a text": ("alpaca", line({"instruction": "q", "output": "a", "history": "x"}), "history must be a list of"),
    "history of one": ("alpaca", line({"instruction": "q", "output": "a", "history": [["a"]]}), "history[0] must be a pair"),
    "messages is a text": ("openai", line({"messages": "hi"}), "messages must be a list of messages, not a text."),
    "a message is a text": ("openai", talk("hi"), "messages[0] must be an object with role and content, not a text."),
    "content is a list": ("openai", talk(say("user", [{"type": "text"}])), "messages[0].content must be a text, not a list."),
    "role is true": ("openai", talk(say(True, "q")), "messages[0].role must be a text, not true/false."),
    "unknown role": ("openai", talk(USER, say("tool", "x")), "messages[1]: unknown role 'tool'. Known roles: system, user, assist"),
    "sharegpt role in openai": ("openai", talk(say("human", "q")), "messages[0]: unknown role 'human'."),
    "empty conversation": ("openai", talk(), "the conversation is empty."),
    "only a system prompt": ("openai", talk(say("system", "s")), "the conversation is empty."),
    "answer first": ("openai", talk(ANSWER, USER), "roles out of order: message 0 is assistant, expected user."),
    "two questions": ("openai", talk(USER, USER, ANSWER), "roles out of order: message 1 is user, expected assistant."),
    "two answers": ("openai", talk(USER, ANSWER, ANSWER), "roles out of order: message 2 is assistant, expected user."),
    "late system prompt": ("openai", talk(USER, say("system", "s"), ANSWER), "message 1 is system, expected assistant."),
    "no last answer": ("openai", talk(USER, ANSWER, USER), "ends with a question that has no answer."),
    "empty answer": ("openai", talk(USER, say("assistant", "  ")), "message 1, the answer, is empty."),
    "empty question": ("openai", talk(say("system", "s"), say("user", ""), ANSWER), "message 1, the question, is empty."),
    "empty alpaca": ("alpaca", line({"instruction": "", "input": "", "output": "a"}), "message 0, the question, is empty."),
    "empty sharegpt answer": (
        "sharegpt",
        line({"conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": ""}]}),
        "message 1, the answer, is empty.",
    ),
    "half a surrogate pair": ("openai", talk(USER, say("assistant", "a\ud83d")), "half of a surrogate pair, U+D83D"),
    "a noncharacter": ("text", line({"text": "a\ufdd1"}), "noncharacter U+FDD1"),
}  # fmt: skip


def job(uri: str, format_: str, **dataset: Any) -> FineTuneJob:
    source = {"uri": uri, "format": format_, "columns": dataset.pop("columns", {})}
    spec = {"model": {"source": "file:///m"}, "dataset": {"sources": [source], **dataset}}
    header = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "x"}}
    return FineTuneJob.model_validate({**header, "spec": spec})


def failure(tmp_path: Path, name: str, content: bytes | None, format_: str, **dataset: Any) -> UserError:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    tokenizer = word_tokenizer(["q", "a"], SMOL)
    with pytest.raises(UserError) as caught:
        prepare_data(job(f"file://{name}", format_, **dataset), tokenizer, {}, tmp_path, tmp_path / "cache", lambda _: None)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    return caught.value


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_named(tmp_path: Path, name: str) -> None:
    format_, bad, words = LINES[name]
    good = {"not UTF-8": {"text": "0123456789"}}.get(name, GOOD[format_])
    error = failure(tmp_path, "data.jsonl", b"\n".join([line(good), b"", line(GOOD[format_]), bad, line(GOOD[format_])]), format_)
    assert error.reason == "BadDataRow"
    assert str(error).startswith(f"{tmp_path}/data.jsonl:4: ")
    assert words in str(error)


@pytest.mark.parametrize(
    ("name", "content", "format_", "reason", "words"),
    [
        ("a.jsonl", b"", "openai", "BadDataFile", "a.jsonl: the file has zero bytes."),
        ("a.jsonl", b"\n \n", "openai", "BadDataFile", "a.jsonl: the file holds no rows."),
        ("a.json", b"[]", "openai", "BadDataFile", "a.json: the file holds no rows."),
        ("a.json", b'[\n{"text": "a"},\n{"text": }\n]', "text", "BadDataRow", "a.json:3: not valid JSON: Expecting value"),
        ("a.json", b'[\n{"text": "a"}\n{"text": "b"}]', "text", "BadDataRow", "a.json:2: not valid JSON: expected ',' or ']'"),
        ("a.json", b'[\n{"text": "a"},\n]', "text", "BadDataRow", "a.json:3: not valid JSON: Expecting value"),
        ("a.json", b'[\n{"text": "a"}\n', "text", "BadDataRow", "a.json:2: not valid JSON: expected ',' or ']'"),
        ("a.json", b'[{"text": "a"}]\n\n[1]', "text", "BadDataRow", "a.json:3: not valid JSON: text after the end"),
        ("a.json", b'[{"text": "a"},\n\n{"text": "\xff"}]', "text", "BadDataRow", "a.json:3: byte 0xff at offset 27 is not UTF-8."),
        ("a.json", b'[\n\n{"text": ""}]', "text", "BadDataRow", "a.json:3: the text is empty."),
        ("a.json", b'{"text": "a"}\n{"text": 1}', "text", "BadDataRow", "a.json:2: text must be a text"),
        ("a.txt", b"one\ntwo\n\nthree \x80\n", "text", "BadDataRow", "a.txt:4: byte 0x80 at offset 15 is not UTF-8."),
        ("a.txt", b"one\n", "openai", "BadDataFile", "a.txt: a .txt file has no columns for format openai. Use format: text."),
        ("a.csv", b"one\n", "text", "BadDataFile", "a.csv: unknown kind of file '.csv'. Known: .json, .jsonl, .parquet, .txt"),
        ("a.parquet", b"PAR1 nonsense", "text", "BadDataFile", "a.parquet: not a readable Parquet file"),
        ("a.jsonl", None, "text", "DataNotFound", "no file"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path: Path, name: str, content: bytes | None, format_: str, reason: str, words: str) -> None:
    (tmp_path / "other.jsonl").touch()
    error = failure(tmp_path, name, content, format_)
    assert (error.reason, words in str(error)) == (reason, True), str(error)
    assert content is not None or "The folder holds: other.jsonl." in str(error)


def test_a_bad_parquet_row_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"instruction": ["q", "q", "q"], "output": ["a", "a", None]}), tmp_path / "a.parquet")
    assert "a.parquet, row 2: output must be a text, not null." in str(failure(tmp_path, "a.parquet", None, "alpaca"))
    assert "a.parquet, row 0: no column 'text'; found: instruction, output." in str(failure(tmp_path, "a.parquet", None, "text"))


def test_a_column_that_no_row_has_is_named(tmp_path: Path) -> None:
    error = failure(tmp_path, "a.jsonl", line(GOOD["alpaca"]), "alpaca", columns={"input": "context"})
    assert error.reason == "MissingColumn"
    assert "no row has a column context" in str(error)


def test_a_folder_without_data_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.md").touch()
    assert "no data files in this folder; found: notes.md." in str(failure(tmp_path, "set", None, "text"))


def test_a_row_that_the_template_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([line(GOOD["openai"]), talk(say("system", "s"), USER, ANSWER)]))
    tokenizer = word_tokenizer(
        ["q"], "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + SMOL
    )
    with pytest.raises(UserError, match=r"a\.jsonl:2: the chat template refuses this conversation: no system role"):
        prepare_data(job("file://a.jsonl", "openai"), tokenizer, {}, tmp_path, tmp_path / "cache", lambda _: None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"maxLength": 12},
            "None of the 1 rows is left to train on: in 1 the question alone fills maxLength 12. Raise dataset.maxLength.",
        ),
        ({"evalFraction": 0.5}, "dataset.evalFraction 0.5 of 1 samples leaves none on one side."),
    ],
)
def test_nothing_left_says_why(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(GOOD["openai"]))
    tokenizer = word_tokenizer(["q", "a"], SMOL)
    with pytest.raises(UserError) as caught:
        prepare_data(job("file://a.jsonl", "openai", **settings), tokenizer, {}, tmp_path, tmp_path / "cache", lambda _: None)
    assert str(caught.value) == words


def test_no_chat_template(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(GOOD["openai"]))
    with pytest.raises(UserError, match="brings no chat template"):
        prepare_data(job("file://a.jsonl", "openai"), word_tokenizer(["q"], None), {}, tmp_path, tmp_path / "cache", lambda _: None)


def test_a_text_needs_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(GOOD["text"]))
    with pytest.raises(UserError, match="no end-of-text token"):
        prepare_data(
            job("file://a.jsonl", "text"), word_tokenizer(["q"], None, eos=None), {}, tmp_path, tmp_path / "cache", lambda _: None
        )
