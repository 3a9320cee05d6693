"""What the API server itself refuses, at `kubectl apply`: the CRD's schema and rules on a real one."""

from __future__ import annotations

from typing import Any

import pytest

from api.bad_specs import BAD, BAD_ON_A_CLUSTER, GOOD_CHANGES, changed
from cluster.api import Api, ApiError
from finetune_api.rules import RULES
from shell.jobs import Submit, Submitted, finetune_job

_DRY_RUN = "/apis/finetune.dev/v1alpha1/namespaces/default/finetunejobs?dryRun=All&fieldValidation=Strict"
#: What the schema cannot say, since any value may stand there; the operator refuses it.
_LEFT_TO_THE_OPERATOR = ["spec.training.extraArgs={torch_compile: [1]}"]


def _refusal(api: Api, job: Any) -> str | None:
    try:
        api.request("POST", _DRY_RUN, job)
    except ApiError as error:
        assert error.status in (400, 422), error
        return str(error)
    return None


def test_bad_jobs_are_refused(api: Api):
    said = {bad.changes: (_refusal(api, bad.data), bad.says) for bad in (*BAD, *BAD_ON_A_CLUSTER)}
    assert [changes for changes, (refusal, _) in said.items() if refusal is None] == _LEFT_TO_THE_OPERATOR
    in_our_words = [changes for changes, (refusal, says) in said.items() if refusal and says in refusal]
    assert len(in_our_words) >= len(RULES) / 2  # The others are refused by type, range and pattern, in Kubernetes' words.


@pytest.mark.parametrize("changes", _LEFT_TO_THE_OPERATOR)
def test_the_operator_refuses_the_rest(submit: Submit, api: Api, namespace: str, changes: str):
    job = changed([changes])
    job["metadata"].update(namespace=namespace, name="bad")
    api.create(job)
    bad = Submitted(api, namespace, "bad")
    assert bad.wait("Failed")["message"]
    assert bad.condition("Accepted")["reason"] == "InvalidSpec"
    assert bad.attempts() == []


def test_good_jobs_are_not_refused(api: Api):
    assert {name: _refusal(api, changed(changes)) for name, changes in GOOD_CHANGES.items()} == dict.fromkeys(GOOD_CHANGES)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"distributed": {"nodes": 3}}, "distributed"),
        ({"model": {"source": "hf://a/b"}}, "model"),
        ({"resources": {"limits": {"cpu": 1}}}, "resources"),
        ({"runPolicy": {"gracefulStopSeconds": 5}}, "gracefulStopSeconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_shapes_a_job_cannot_be_changed(api: Api, namespace: str, change: dict[str, Any], field: str):
    api.create(finetune_job(namespace))
    with pytest.raises(ApiError, match=f"{field} cannot be changed after the job was created") as refused:
        api.patch("FineTuneJob", namespace, "a", {"spec": change})
    assert refused.value.status == 422


def test_the_run_policy_can_be_changed(api: Api, namespace: str):
    api.create(finetune_job(namespace))
    change = {"suspend": True, "maxRestarts": 7, "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 60}
    changed_job = api.patch("FineTuneJob", namespace, "a", {"spec": {"runPolicy": change}})
    assert changed_job["spec"]["runPolicy"].items() >= change.items() and changed_job["metadata"]["generation"] == 2
