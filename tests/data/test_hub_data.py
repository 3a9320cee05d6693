"""Data sets of the hub, against a hub on loopback; in a process of their own, since the library reads HF_ENDPOINT when imported."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub import TOKEN, Hub

_PROGRAM = """
import json, sys
from finetune_api.spec import DataSource
from finetune_trainer.data.hub import open_hub
from finetune_trainer.errors import UserError
for line in sys.stdin:
    try:
        source = open_hub(DataSource.model_validate({"format": "text", **json.loads(line)}), lambda _: None, retry_delays=())
        answer = [[str(row.place), row.value] for row in source.rows()] + [source.digest]
    except UserError as exc:
        answer = [exc.reason, str(exc)]
    print("ANSWER", json.dumps(answer), flush=True)
"""


def parquet(*texts: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), buffer)
    return buffer.getvalue()


CARD = b"""---
configs:
- config_name: long
  data_files: [{split: train, path: long.jsonl}]
- config_name: short
  data_files: [{split: train, path: short.jsonl}]
---
"""

#: What is asked for -> what comes back: texts, or a reason and words of the message.
ASKED: list[tuple[dict[str, Any], list[str]]] = [
    ({"uri": "hf://acme/plain"}, ["a", "b"]),
    ({"uri": "hf://acme/plain@main", "split": "test"}, ["c"]),
    ({"uri": "hf://acme/private"}, ["p"]),
    ({"uri": "hf://acme/several", "subset": "short"}, ["s"]),
    ({"uri": "hf://acme/several"}, ["SplitNotFound", "has several subsets; it has: long, short. Set dataset.sources[].subset."]),
    ({"uri": "hf://acme/several", "subset": "x"}, ["SplitNotFound", "hf://acme/several has no subset 'x'; it has: long, short."]),
    ({"uri": "hf://acme/plain", "split": "dev"}, ["SplitNotFound", "hf://acme/plain has no split 'dev'; it has: train, test."]),
    ({"uri": "hf://acme/plain@v9"}, ["RevisionNotFound", "hf://acme/plain has no revision 'v9'."]),
    ({"uri": "hf://acme/none"}, ["DatasetNotFound", "There is no data set acme/none on http://127.0.0.1"]),
    (
        {"uri": "hf://acme/gated"},
        ["DatasetGated", "hf://acme/gated is gated: its owner asks you to accept a licence first. Accept it at"],
    ),
    ({"uri": "hf://acme/bad"}, ["BadDataFile", "hf://acme/bad: "]),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """To each question of ASKED, and to the first one again after the hub has gone."""
    home = tmp_path_factory.mktemp("home")
    with Hub() as hub:
        add = {"kind": "dataset"}
        hub.add("acme/plain", {"data/train-0.parquet": parquet("a", "b"), "data/test-0.parquet": parquet("c")}, **add)  # type: ignore[arg-type]
        hub.add("acme/private", {"train.jsonl": b'{"text": "p"}\n'}, private=True, **add)  # type: ignore[arg-type]
        hub.add("acme/several", {"README.md": CARD, "long.jsonl": b'{"text": "l"}\n', "short.jsonl": b'{"text": "s"}\n'}, **add)  # type: ignore[arg-type]
        hub.add("acme/gated", {"train.jsonl": b'{"text": "g"}\n'}, gated=True, **add)  # type: ignore[arg-type]
        hub.add("acme/bad", {"train.jsonl": b'{"text": "g"\n{"tex'}, **add)  # type: ignore[arg-type]
        env = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(home),
            "PYTHONPATH": ":".join(sys.path),
            "PATH": "/usr/bin:/bin",
        }
        with subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin and process.stdout

            def ask(question: dict[str, Any]) -> list[Any]:
                process.stdin.write(json.dumps(question) + "\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                for line in process.stdout:  # type: ignore[union-attr]
                    if line.startswith("ANSWER "):
                        return list(json.loads(line.removeprefix("ANSWER ")))
                raise AssertionError("the program has ended")

            found = [ask(question) for question, _ in ASKED]
            hub.stop()
            return [*found, ask(ASKED[0][0])]


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_the_hub(answers: list[list[Any]], number: int) -> None:
    question, expected = ASKED[number]
    answer = answers[number]
    if expected[0][0].isupper():
        assert answer[0] == expected[0], answer
        assert expected[1] in answer[1]
        assert TOKEN not in answer[1]
    else:
        assert [row[1]["text"] for row in answer[:-1]] == expected
        assert answer[0][0].startswith(question["uri"].partition("@")[0] + "@")
        assert answer[0][0].endswith(f"{question.get('split', 'train')}, row 0")


def test_a_hub_that_is_gone(answers: list[list[Any]]) -> None:
    assert answers[-1][0] == "HubUnreachable"
    assert "Check the network and HF_ENDPOINT" in answers[-1][1]


def test_each_selection_has_a_digest_of_its_own(answers: list[list[Any]]) -> None:
    digests = [answer[-1] for answer in answers[:4]]
    assert len(set(digests)) == 4
