"""What may change while a job runs, by the CRD's own transition rules (CEL, with oldSelf)."""

from __future__ import annotations

from typing import Any

import pytest

from api.bad_specs import GOOD
from api.test_rules import cel_value, program
from finetune_api.immutable import validations
from finetune_api.json_schema import node_at
from finetune_api.overrides import apply_overrides, parse_path
from finetune_api.spec import FineTuneJob, FineTuneJobSpec, RunPolicy


def spec(changes: list[str]) -> dict[str, Any]:
    """GOOD with changes and defaults, as the API server compares it."""
    data, _, problems = apply_overrides(GOOD, changes)
    assert problems == []
    return FineTuneJob.model_validate(data, by_alias=True, by_name=False).to_manifest()["spec"]


def refused(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Fields whose change the rules refuse."""
    found = []
    for at, rules in validations().items():
        inside = at.removeprefix("spec").removeprefix(".")
        old, new = (value[inside] if inside else value for value in (before, after))
        schema = node_at(parse_path(at))
        for rule in rules:
            if not program(rule["rule"]).evaluate({"self": cel_value(new, schema), "oldSelf": cel_value(old, schema)}):
                assert "cannot be changed after the job was created." in rule["message"]
                found.append(f"{at}{rule['fieldPath']}")
    return found


@pytest.mark.parametrize(
    "change",
    [
        "spec.runPolicy.suspend=true",
        "spec.runPolicy.maxRestarts=9",
        "spec.runPolicy.activeDeadlineSeconds=9000",
        "spec.runPolicy.ttlSecondsAfterFinished=0",
    ],
)
def test_what_may_change(change: str):
    assert refused(spec([]), spec([change])) == refused(spec([change]), spec([])) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("spec.model.source=hf://other/model", "spec.model"),
        ("spec.model.tokenSecretRef={name: hf}", "spec.model"),
        ("spec.dataset.sources[1].weight=1", "spec.dataset"),
        ("spec.training.extraArgs={neftune_noise_alpha: 6}", "spec.training"),
        ("spec.training.evalSteps=3", "spec.training"),
        ("spec.distributed.nodes=3", "spec.distributed"),
        ("spec.distributed.processesPerNode=", "spec.distributed"),
        ("spec.output.path=elsewhere", "spec.output"),
        ("spec.runPolicy.stallTimeoutSeconds=60", "spec.runPolicy.stallTimeoutSeconds"),
        ("spec.runPolicy.gracefulStopSeconds=60", "spec.runPolicy.gracefulStopSeconds"),
        ("spec.resources.limits={cpu: 3}", "spec.resources"),
        ("spec.resources.sharedMemory=1Gi", "spec.resources"),
        ("spec.podTemplate.metadata.labels={a: b}", "spec.podTemplate"),
        ("spec.podTemplate.spec.affinity={nodeAffinity: {a: 1}}", "spec.podTemplate"),
        ("spec.trainer.env=[]", "spec.trainer"),
        ("spec.trainer.image=other", "spec.trainer"),
    ],
)
def test_what_may_not(change: str, field: str):
    assert refused(spec([]), spec([change])) == refused(spec([change]), spec([])) == [field]


def test_a_job_cannot_get_or_lose_its_model():
    assert refused(spec([]), spec(["spec.model="])) == refused(spec(["spec.model="]), spec([])) == ["spec.model"]


def test_every_field_was_thought_of():
    rules = validations()
    fixed = {rule["fieldPath"][1:] for rule in rules["spec"]}
    assert fixed == {field.alias for field in FineTuneJobSpec.model_fields.values()} - {"runPolicy"}
    free = {field.alias for field in RunPolicy.model_fields.values()} - {rule["fieldPath"][1:] for rule in rules["spec.runPolicy"]}
    assert free == {"suspend", "maxRestarts", "activeDeadlineSeconds", "ttlSecondsAfterFinished"}
