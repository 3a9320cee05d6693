"""YAML means what kubectl takes it for. The expected values are kubectl's own (v1.32, `kubectl patch --local -o json`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.yaml_reader import read_documents, read_value
from finetune_api.yaml_writer import to_yaml

KUBECTL: dict[str, Any] = {
    "2e-4": 0.0002, "5e8": 500000000, "1e3": 1000, "1E+5": 100000, "-1e3": -1000, "0.1e-2": 0.001, ".5": 0.5, "1.": 1, "+.5": 0.5,
    ".5e3": 500, "1.0": 1, "-2.0": -2, "+12": 12, "0.25": 0.25, "1e400": "1e400",
    "yes": True, "on": True, "y": True, "True": True, "TRUE": True, "N": False, "off": False, "No": False, "tRUE": "tRUE",
    "010": 8, "0o10": 8, "-0o7": -7, "09": 9, "0o8": "0o8", "0x1F": 31, "-0x10": -16, "0b11": 3, "-0b11": -3, "0b12": "0b12",
    "1_000": 1000, "1_0.5": 10.5, "1_": 1, "_1": "_1",
    "~": None, "null": None, "": None,
    "12:30": "12:30", "2026-01-02": "2026-01-02", "1e3.5": "1e3.5", "1.5.2": "1.5.2", "e5": "e5", "5e": "5e", "=": "=",
    "'2e-4'": "2e-4", '"off"': "off", "!!str 5": "5", "!!int \"7\"": 7,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), KUBECTL.items(), ids=map(repr, KUBECTL))
def test_scalar(text: str, value: Any):
    (document,) = read_documents(f"a: {text}\n")
    assert (document.data["a"], type(document.data["a"])) == (value, type(value))


def test_keys_are_text():
    assert read_documents("7: a\non: b\n1.5: c\n'x': d\n")[0].data == {"7": "a", "true": "b", "1.5": "c", "x": "d"}


def test_merge_keys():
    (document,) = read_documents("base: &b {x: 1, z: 2}\nmore: &m {x: 3, w: 4}\na: {<<: *b, z: 5}\nb: {<<: [*b, *m]}\n")
    assert document.data["a"] == {"x": 1, "z": 5}
    assert document.data["b"] == {"x": 1, "z": 2, "w": 4}


def test_lines():
    (_, document) = read_documents("a: 1\n---\nspec:\n  list:\n  - x: 1\n    v: |\n      text\n  - z: 2\n")
    assert document.lines["spec",] == 3
    assert document.lines["spec", "list", 0, "v"] == 6
    assert document.lines["spec", "list", 1, "z"] == 8


@pytest.mark.parametrize(("text", "value"), [("20", 20), ("", None), ('{"a": [1, 2e-4]}', {"a": [1, 2e-4]}), ("a b", "a b")])
def test_value_of_an_override(text: str, value: Any):
    assert read_value(text) == value


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
TEXTS = st.text(max_size=8) | st.text("0123456789.eE+-_xob", max_size=6) | st.sampled_from([str(text) for text in KUBECTL])


@given(
    st.recursive(
        SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
    )
)
def test_what_is_written_is_read_back(data: Any):
    (document,) = read_documents(to_yaml({"data": data}))
    assert document.data["data"] == data


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_agrees(tmp_path: Path):
    texts = list(KUBECTL)
    lines = "".join(f"  v{number}: {text}\n" for number, text in enumerate(texts))
    (tmp_path / "map.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n{lines}")
    command = [
        "kubectl",
        "patch",
        "--local",
        "-f",
        str(tmp_path / "map.yaml"),
        "--type=merge",
        "-p",
        '{"metadata": {"name": "y"}}',
        "-o",
        "json",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(printed)["data"] == {f"v{number}": KUBECTL[text] for number, text in enumerate(texts)}
