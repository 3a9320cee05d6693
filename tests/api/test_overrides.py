"""--set PATH=VALUE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.bad_specs import GOOD
from finetune_api.load import SpecErrors, load_job
from finetune_api.overrides import apply_overrides, parse_path
from finetune_api.yaml_writer import to_yaml


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    (tmp_path / "job.yaml").write_text(to_yaml(GOOD))
    return tmp_path / "job.yaml"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("spec.training.maxSteps", ("spec", "training", "maxSteps")),
        ("spec.dataset.sources[0].uri", ("spec", "dataset", "sources", 0, "uri")),
        ("a[1][2]", ("a", 1, 2)),
        (r"metadata.labels.app\.kubernetes\.io/name", ("metadata", "labels", "app.kubernetes.io/name")),
        *[(text, None) for text in ("", ".", "a.", "a..b", "[0]", "a[x]", "a[0]b")],
    ],
)
def test_path(text: str, keys: tuple[str | int, ...] | None):
    assert parse_path(text) == keys


def test_values_are_yaml_and_the_original_is_left_alone():
    data: dict[str, Any] = {"list": [{"a": 1}]}
    new, changed, problems = apply_overrides(data, ["list[0].a=2e-4", "new.deep=on", 'object={"x": [1]}', "text=a=b", "list[0].b="])
    assert new == {"list": [{"a": 0.0002, "b": None}], "new": {"deep": True}, "object": {"x": [1]}, "text": "a=b"}
    assert data == {"list": [{"a": 1}]} and problems == [] and ("new", "deep") in changed


def test_they_win_over_the_file(job_file: Path):
    job = load_job(job_file, ["spec.training.maxSteps=20", "spec.dataset.sources[0].weight=2", "spec.dataset.maxLength="])
    assert (job.spec.training.max_steps, job.dataset.sources[0].weight, job.dataset.max_length) == (20, 2.0, 2048)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("spec.trainng.maxSteps=20", "spec.trainng: is not a field of the API. Did you mean training?"),
        ("spec.training.maxStep=20", "spec.training.maxStep: is not a field of the API. Did you mean maxSteps?"),
        ("spec.training.maxSteps=many", "spec.training.maxSteps: must be a whole number, not the text 'many'."),
        (
            "spec.dataset.sources[7].weight=2",
            "spec.dataset.sources[7].weight: --set: spec.dataset.sources has 2 entries. Count from 0",
        ),
        ("spec.dataset.sources.weight=2", "spec.dataset.sources.weight: --set: spec.dataset.sources is not a mapping."),
        ("spec.training[0]=2", "spec.training[0]: --set: spec.training is not a list."),
        ("spec.training.maxSteps", "--set spec.training.maxSteps: not PATH=VALUE."),
        ("spec..x=1", "--set spec..x=1: not PATH=VALUE."),
        ("spec.training.maxSteps=[1", "spec.training.maxSteps: --set: not YAML:"),
    ],
)
def test_what_is_wrong_with_one(override: str, said: str, job_file: Path):
    """Without a line: it is not the file's mistake."""
    with pytest.raises(SpecErrors) as caught:
        load_job(job_file, [override])
    assert str(caught.value).startswith(f"{job_file}: {said}")


def test_an_override_can_mend_the_file(job_file: Path):
    job_file.write_text(job_file.read_text().replace("learningRate: 0.0002", "learningRate: fast"))
    assert load_job(job_file, ["spec.training.learningRate=1e-5"]).spec.training.learning_rate == 1e-5
