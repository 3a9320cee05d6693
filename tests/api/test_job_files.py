"""Files: what is in them besides one job."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.bad_specs import GOOD, changed
from finetune_api.load import SpecErrors, check_file, load_job
from finetune_api.yaml_writer import to_yaml

BEGIN = "Write it as KEY: VALUE lines, beginning with apiVersion, kind, metadata, spec."
COLON = "Put text that holds ': ' in quotes, and check the indentation."
VERSION = "Write apiVersion: finetune.dev/v1alpha1."
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: hf}\n"


def said(path: Path, content: str | bytes) -> str:
    """What load_job says about a file with this content, without the file's name."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpecErrors) as caught:
        load_job(path)
    return str(caught.value).replace(str(path), "F")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "F: is empty. `finetune init` writes a job to start from."),
        ("# only a comment\n---\n", "F: is empty. `finetune init` writes a job to start from."),
        ("- a\n", f"F:1: a job must be a mapping, not a list. {BEGIN}"),
        ("hello\n", f"F:1: a job must be a mapping, not 'hello'. {BEGIN}"),
        ("a: [1\n", "F:2: not YAML: expected ',' or ']', but got '<stream end>' in column 1."),
        ("a: b: c\n", f"F:1: not YAML: mapping values are not allowed here in column 5. {COLON}"),
        ("a:\n\tb: 1\n", "F:2: not YAML: found character TAB that cannot start any token in column 1. Indent with spaces."),
        ("spec:\n  a: 1\n  a: 2\n", "F:3: spec.a: given twice, first in line 2. Keep one of them."),
        ("a: .nan\n", "F:1: a: .nan is not a number that JSON has. Write a finite number."),
        ("a: !!python/object:os.system x\n", "F:1: a: the tag !!python/object:os.system means nothing here. Leave it out."),
        ("a: *b\n", "F:1: not YAML: found undefined alias 'b' in column 4."),
        ("a: \x07\n", "F:1: not YAML: the character U+0007 is not allowed."),
        (b"a: 1\nb: \xff\n", "F:2: is not UTF-8 text (byte 8). Save it as UTF-8."),
        (SECRET, f"F:1: apiVersion: is 'v1'. {VERSION}\nF:2: kind: is 'Secret'. Write kind: FineTuneJob."),
        (f"{SECRET}---\n{SECRET}", "F: holds no FineTuneJob. This needs a file with one."),
        (f"{to_yaml(GOOD)}---\n{to_yaml(GOOD)}", "F: holds 2 FineTuneJobs: good, good. This needs a file with one."),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_no_job(content: str | bytes, expected: str, tmp_path: Path):
    assert said(tmp_path / "job.yaml", content) == expected


def test_a_bomb_of_aliases_ends_early(tmp_path: Path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert said(tmp_path / "job.yaml", "\n".join(lines)).startswith("F: more than 100000 values")


@pytest.mark.parametrize("content", ["a: &a [*a]\n", "[" * 1500 + "]" * 1500], ids=["recursive alias", "brackets"])
def test_nesting_is_bounded(content: str, tmp_path: Path):
    assert "nested deeper than 64 levels" in said(tmp_path / "job.yaml", content)


def test_size_is_bounded(tmp_path: Path):
    assert "larger than 1500000 bytes" in said(tmp_path / "job.yaml", "# " + "x" * 1_500_000)


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path):
    (tmp_path / "quickstart.yaml").write_text(to_yaml(GOOD))
    with pytest.raises(SpecErrors, match=r"there is no such file. Did you mean .*quickstart.yaml"):
        load_job(tmp_path / "quikstart.yaml")


def test_a_folder_cannot_be_read(tmp_path: Path):
    with pytest.raises(SpecErrors, match="cannot be read: Is a directory"):
        load_job(tmp_path)


def test_other_kinds_beside_the_job_are_passed_over(tmp_path: Path):
    (tmp_path / "job.yaml").write_text(f"{SECRET}---\n{to_yaml(GOOD)}")
    assert load_job(tmp_path / "job.yaml").metadata.name == "good"


def test_a_misspelt_kind_is_not_another_kind(tmp_path: Path):
    (tmp_path / "job.yaml").write_text(f"{to_yaml(changed(['kind=FinetuneJob', 'apiVersion=v1']))}---\n{to_yaml(GOOD)}")
    first, second = check_file(tmp_path / "job.yaml")
    assert {problem.path for problem in first.problems} == {"apiVersion", "kind"} and second.problems == []


def test_json_is_read_too(tmp_path: Path):
    import json

    (tmp_path / "job.json").write_text(json.dumps(GOOD, indent=2))
    assert load_job(tmp_path / "job.json").spec.training.learning_rate == 2e-4
