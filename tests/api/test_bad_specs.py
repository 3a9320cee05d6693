"""Each mistake is reported once, at its place, with what to write instead; good jobs are not refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.bad_specs import BAD, BAD_ON_A_CLUSTER, GOOD, GOOD_CHANGES, LEFT_TO_THE_OPERATOR, Bad, changed
from finetune_api.json_schema import Schema, job_schema
from finetune_api.load import SpecErrors, check_file, load_job
from finetune_api.problems import dotted
from finetune_api.yaml_reader import Keys
from finetune_api.yaml_writer import to_yaml


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    return tmp_path / "job.yaml"


@pytest.mark.parametrize("bad", BAD + LEFT_TO_THE_OPERATOR, ids=lambda bad: bad.changes[:80])
def test_bad_spec(bad: Bad, job_file: Path):
    job_file.write_text(to_yaml(bad.data))
    with pytest.raises(SpecErrors) as caught:
        load_job(job_file)
    (problem,) = caught.value.problems
    assert (problem.path, str(problem).count(bad.says)) == (bad.path, 1), str(problem)
    assert problem.line is not None and problem.hint.count("\n") == 0
    assert not str(problem).endswith("..")


@pytest.mark.parametrize("bad", BAD_ON_A_CLUSTER, ids=lambda bad: bad.changes[:80])
def test_what_only_a_cluster_refuses(bad: Bad, job_file: Path):
    job_file.write_text(to_yaml(bad.data))
    assert load_job(job_file).metadata.name == "good"
    (checked,) = check_file(job_file)
    (problem,) = checked.cluster_problems
    assert (problem.path, str(problem).count(bad.says)) == (bad.path, 1), str(problem)
    assert problem.line is not None


def test_a_mistake_does_not_hide_what_a_cluster_would_refuse(job_file: Path):
    job_file.write_text(to_yaml(changed(["spec.training.maxSteps=many", "spec.output.volume="])))
    (checked,) = check_file(job_file)
    assert [problem.path for problem in checked.problems] == ["spec.training.maxSteps"]
    assert [problem.path for problem in checked.cluster_problems] == ["spec.output.volume"]


@pytest.mark.parametrize("changes", GOOD_CHANGES.values(), ids=GOOD_CHANGES)
def test_good_spec(changes: list[str], job_file: Path):
    job_file.write_text(to_yaml(changed(changes)))
    (checked,) = check_file(job_file)
    assert (checked.problems, checked.cluster_problems) == ([], [])


def test_the_table_is_large():
    assert len({bad.changes for bad in BAD}) >= 60


def test_the_line_is_the_line_of_the_field(job_file: Path):
    job_file.write_text(to_yaml(changed(["spec.trainer.env=[{name: A}, {name: RANK}]"])))
    (problem,) = check_file(job_file)[0].problems
    lines = job_file.read_text().splitlines()
    assert problem.path == "spec.trainer.env[1].name" and lines[problem.line - 1].strip() == "- name: RANK"


def test_a_key_with_dots_is_named_as_set_reads_it(job_file: Path):
    """The line is that of the key, and the path can be given to --set."""
    job_file.write_text(to_yaml(changed(["spec.resources.limits={nvidia.com/gpu: many}"])))
    (problem,) = check_file(job_file)[0].problems
    assert problem.path == r"spec.resources.limits.nvidia\.com/gpu"
    assert job_file.read_text().splitlines()[problem.line - 1].strip() == "nvidia.com/gpu: many"
    with pytest.raises(SpecErrors, match="a device cannot be divided"):
        load_job(job_file, [f"{problem.path}=1.5k"])


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


def required(schema: Schema, value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Paths of the required fields that a job has."""
    for name, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if name in schema.get("required", ()):
            yield (*keys, name)
        node = schema.get("items") if isinstance(name, int) else schema.get("properties", {}).get(name)
        yield from required(node or {}, child, (*keys, name))


def test_a_missing_field_hides_nothing_else(job_file: Path):
    """Whatever is missing, the rules about the rest are still judged: there is a value that stands in for it."""
    names = ("scheduling", "volumes", "token of a Secret", "eval sources")
    changes = [change for name in names for change in GOOD_CHANGES[name]]
    secret = "spec.trainer.env=[{name: A, valueFrom: {secretKeyRef: {name: b}}}]"
    job = changed([*changes, secret, "spec.training.maxSteps=0"])
    paths = [dotted(keys) for keys in required(job_schema(), job) if keys[0] in ("metadata", "spec") and keys != ("spec",)]
    assert len(paths) > 20
    for path in paths:
        job_file.write_text(to_yaml(changed([*changes, secret, "spec.training.maxSteps=0", f"{path}="])))
        said = [problem.path for problem in check_file(job_file)[0].problems]
        assert sorted(said) == sorted([path, "spec.training.maxSteps"]), path


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
