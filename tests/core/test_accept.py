"""What keeps a job from starting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.builders import NAME, job
from finetune_api.status import Condition, FineTuneJobStatus
from finetune_operator.core.model import Claim, Job, References
from finetune_operator.core.policies.accept import invalid, refusal
from finetune_operator.core.policies.node_fit import no_node_fits
from finetune_operator.core.policies.output_in_use import output_users
from finetune_operator.core.references import NeededReferences, needed

SHARED = Claim(("ReadWriteMany",))
RUNS = {"runs": SHARED}
DATA = {"sources": [{"uri": "configmap://pairs/train.jsonl", "format": "alpaca"}]}


def test_a_job_names_its_objects() -> None:
    everything = job(
        model={"source": "pvc://models/qwen", "tokenSecretRef": {"name": "hf"}},
        dataset={
            "sources": [{"uri": "pvc://data/a.jsonl", "format": "alpaca"}, {"uri": "configmap://pairs/b.jsonl", "format": "alpaca"}]
        },
        trainer={"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "wandb"}}}]},
        resources={"limits": {"nvidia.com/gpu": 8}},
        podTemplate={
            "spec": {
                "imagePullSecrets": [{"name": "registry"}],
                "volumes": [
                    {"name": "a", "persistentVolumeClaim": {"claimName": "scratch"}},
                    {"name": "b", "configMap": {"name": "scripts"}},
                    {"name": "c", "secret": {"secretName": "certs"}},
                    {"name": "d", "emptyDir": {}},
                ],
            }
        },
    )
    assert needed(everything) == NeededReferences(
        secrets=("certs", "hf", "registry", "wandb"),
        config_maps=("pairs", "scripts"),
        claims=("data", "models", "runs", "scratch"),
        nodes=True,
    )


def test_a_job_that_names_little_needs_little() -> None:
    assert needed(job()) == NeededReferences(claims=("runs",))
    assert needed(replace(job(), job=None, problems=("broken",))) == NeededReferences()


def test_a_spec_that_is_wrong_in_itself() -> None:
    assert invalid(job()) is None
    refused = invalid(replace(job(), problems=("spec.model: is missing.",)))
    assert refused is not None
    assert refused.reason == "InvalidSpec"
    assert "spec.model: is missing." in refused.message


@pytest.mark.parametrize(
    ("spec", "found", "reason", "words"),
    [
        (
            {"model": {"source": "hf://a/b", "tokenSecretRef": {"name": "hf"}}},
            {"claims": RUNS},
            "SecretNotFound",
            ["Secret hf", "kubectl create"],
        ),
        (
            {"model": {"source": "hf://a/b", "tokenSecretRef": {"name": "hf"}}},
            {"claims": RUNS, "secrets": {"hf": "kubernetes.io/service-account-token"}},
            "ServiceAccountToken",
            ["Secret hf", "no access to the API server"],
        ),
        ({"dataset": DATA}, {"claims": RUNS}, "ConfigMapNotFound", ["ConfigMap pairs", "kubectl create"]),
        (
            {"dataset": DATA},
            {"claims": RUNS, "config_maps": {"pairs": frozenset({"test.jsonl"})}},
            "ConfigMapNotFound",
            ["no key train.jsonl", "test.jsonl"],
        ),
        ({}, {}, "ClaimNotFound", ["PersistentVolumeClaim runs"]),
        ({}, {"claims": {"runs": Claim(("ReadWriteOnce",))}}, "ClaimNotShareable", ["ReadWriteOnce", "ReadWriteMany", "nodes: 2"]),
        ({}, {"claims": {"runs": Claim(("ReadOnlyMany",))}}, "ClaimNotShareable", ["ReadOnlyMany"]),
        ({}, {"claims": RUNS, "output_users": ("other",)}, "OutputInUse", ["other", NAME, "output.path"]),
    ],
)
def test_refusals_say_what_to_do(spec: dict[str, Any], found: dict[str, Any], reason: str, words: list[str]) -> None:
    refused = refusal(job(**spec), References(**found))
    assert refused is not None
    assert refused.reason == reason
    assert all(word in refused.message for word in words), refused.message


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, {"claims": RUNS}),
        ({"nodes": 1}, {"claims": {"runs": Claim(("ReadWriteOnce",))}}),
        ({"model": {"source": "pvc://models/a"}}, {"claims": {**RUNS, "models": Claim(("ReadOnlyMany",))}}),
        ({"dataset": DATA}, {"claims": RUNS, "config_maps": {"pairs": frozenset({"train.jsonl"})}}),
        ({"model": {"source": "hf://a/b", "tokenSecretRef": {"name": "hf"}}}, {"claims": RUNS, "secrets": {"hf": "Opaque"}}),
    ],
)
def test_what_is_accepted(spec: dict[str, Any], found: dict[str, Any]) -> None:
    assert refusal(job(**spec), References(**found)) is None


def test_a_claim_that_is_only_read_need_not_be_writable_by_all() -> None:
    template = {"spec": {"volumes": [{"name": "books", "persistentVolumeClaim": {"claimName": "books"}}]}}
    assert refusal(job(podTemplate=template), References(claims={**RUNS, "books": Claim(("ReadOnlyMany",))})) is None


# --- who has the output folder ----------------------------------------------------------------------------------------------------

ACCEPTED = Condition(type="Accepted", status="True", reason="Accepted", last_transition_time="2026-01-01T00:00:00Z")


def other(
    name: str = "other", age: float = 0, accepted: bool = False, phase: str = "Pending", path: str = NAME, **spec: Any
) -> Job:
    """Another job, with the same output folder and `age` seconds older."""
    output = {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}, "path": path}
    read = job(name=name, uid=f"uid-{name}", output=output, **spec)
    status = FineTuneJobStatus(phase=phase, conditions=[ACCEPTED] if accepted else [])  # type: ignore[arg-type]
    return replace(read, status=status, created_at=read.created_at - age)


@pytest.mark.parametrize(
    ("neighbour", "keeps_out"),
    [
        (other(accepted=True, age=-60), True),
        (other(age=60), True),
        (other(age=-60), False),
        (other(accepted=True, phase="Suspended"), True),
        (other(accepted=True, phase="Succeeded", age=60), True),
        (other(accepted=True, phase="Failed", age=60), True),
        (other(accepted=True, path="elsewhere"), False),
    ],
)
def test_who_came_first_has_the_folder(neighbour: Job, keeps_out: bool) -> None:
    assert output_users(job(), [job(), neighbour]) == (("other",) if keeps_out else ())


def test_of_two_that_wait_one_may_start() -> None:
    one, two = other("one"), other("two")
    assert sorted([output_users(one, [one, two]), output_users(two, [one, two])]) == [(), ("one",)]


def test_a_job_without_output_is_in_nobodys_way() -> None:
    without = job(output={}, trainer={"command": ["torchrun", "train.py"]})
    assert output_users(without, [other(accepted=True)]) == ()


# --- nodes that are large enough --------------------------------------------------------------------------------------------------

BIG = {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8"}
SMALL = {"cpu": "3500m", "memory": "16Gi"}


@pytest.mark.parametrize(
    ("resources", "nodes", "fits"),
    [
        ({}, (), True),
        ({"limits": {"nvidia.com/gpu": 8}}, None, True),
        ({"limits": {"nvidia.com/gpu": 8}}, (SMALL, BIG), True),
        ({"limits": {"nvidia.com/gpu": 9}}, (SMALL, BIG), False),
        ({"limits": {"nvidia.com/gpu": 1}}, (SMALL,), False),
        ({"limits": {"cpu": 3, "memory": "16Gi"}}, (SMALL,), True),
        ({"limits": {"memory": "1Ti"}, "requests": {"memory": "8Gi"}}, (SMALL,), True),
        ({"limits": {"cpu": 1}}, (), False),
    ],
)
def test_a_node_is_large_enough(resources: dict[str, Any], nodes: Any, fits: bool) -> None:
    assert (no_node_fits(job(resources=resources).spec, nodes) == "") is fits


def test_the_word_says_what_is_asked_for_and_what_there_is() -> None:
    text = no_node_fits(job(resources={"limits": {"nvidia.com/gpu": 9}}).spec, (SMALL, BIG))
    assert "nvidia.com/gpu: 9" in text
    assert "nvidia.com/gpu: 8" in text
