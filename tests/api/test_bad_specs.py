"""Each mistake is reported once, at its place, with what to write instead; good jobs are not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.bad_specs import BAD, BAD_EXTRA_ARGS, GOOD, GOOD_CHANGES, Bad, changed
from finetune_api.load import SpecErrors, check_file, load_job
from finetune_api.yaml_writer import to_yaml


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    return tmp_path / "job.yaml"


@pytest.mark.parametrize("bad", BAD + BAD_EXTRA_ARGS, ids=lambda bad: bad.changes[:80])
def test_bad_spec(bad: Bad, job_file: Path):
    job_file.write_text(to_yaml(bad.data))
    with pytest.raises(SpecErrors) as caught:
        load_job(job_file)
    (problem,) = caught.value.problems
    assert (problem.path, str(problem).count(bad.says)) == (bad.path, 1), str(problem)
    assert problem.line is not None and problem.hint.count("\n") == 0
    assert not str(problem).endswith("..")


@pytest.mark.parametrize("changes", GOOD_CHANGES.values(), ids=GOOD_CHANGES)
def test_good_spec(changes: list[str], job_file: Path):
    job_file.write_text(to_yaml(changed(changes)))
    assert load_job(job_file).metadata.name == "good"


def test_the_table_is_large():
    assert len({bad.changes for bad in BAD}) >= 60


def test_the_line_is_the_line_of_the_field(job_file: Path):
    job_file.write_text(to_yaml(changed(["spec.trainer.env=[{name: A}, {name: RANK}]"])))
    (problem,) = check_file(job_file)[0].problems
    lines = job_file.read_text().splitlines()
    assert problem.path == "spec.trainer.env[1].name" and lines[problem.line - 1].strip() == "- name: RANK"


def test_all_problems_at_once(job_file: Path):
    """Mistakes in fields do not hide broken rules elsewhere, and rules are not judged on what is wrong anyway."""
    changes = [
        "metadata.name=",
        "spec.model=",
        "spec.dataset.sources[0].uri=",
        "spec.training.stage=dpo",  # So no rule about stages may speak.
        "spec.training.lerningRate=1",
        "spec.training.maxSteps=0",
        "spec.trainer.env=[{name: RANK}, {name: OK, value: 5}]",
    ]
    job_file.write_text(to_yaml(changed(changes)))
    assert sorted(problem.path for problem in check_file(job_file)[0].problems) == [
        "metadata.name",
        "spec.dataset.sources[0].uri",
        "spec.model",
        "spec.trainer.env[0].name",
        "spec.trainer.env[1].value",
        "spec.training.lerningRate",
        "spec.training.maxSteps",
        "spec.training.stage",
    ]


def test_a_misspelt_field_does_not_count_as_absent(job_file: Path):
    """evalSteps with evalFractoin: the typing mistake is the only problem."""
    job_file.write_text(to_yaml(changed(["spec.training.evalSteps=5", "spec.dataset.evalFractoin=0.1"])))
    assert [problem.path for problem in check_file(job_file)[0].problems] == ["spec.dataset.evalFractoin"]


def test_snake_case_is_refused_as_the_api_server_does(job_file: Path):
    """Python code may use field names; a file may not."""
    job_file.write_text(to_yaml({**GOOD, "api_version": "finetune.dev/v1alpha1"}))
    assert [problem.path for problem in check_file(job_file)[0].problems] == ["api_version"]


def test_the_resolved_job_is_read_back_as_the_same_job(job_file: Path):
    job_file.write_text(to_yaml(GOOD))
    job = load_job(job_file)
    job_file.write_text(to_yaml(job.to_manifest()))
    assert load_job(job_file) == job
