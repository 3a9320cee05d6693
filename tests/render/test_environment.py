"""The environment of a pod, and names that must fit."""

from __future__ import annotations

import re

import pytest

from finetune_api import contract
from finetune_api.names import attempt_name, service_name
from finetune_api.spec import MAX_NAME
from finetune_operator.core.topology import master_address, processes_per_node
from render import cases


@pytest.mark.parametrize("name", cases.NAMES)
def test_each_variable_is_set_once(name: str):
    names = [variable["name"] for variable in cases.container(cases.read(name))["env"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", cases.NAMES)
def test_a_job_may_not_set_what_we_set(name: str):
    """Everything that ranks find each other by is a reserved name, which the schema refuses in trainer.env."""
    job = cases.read(name)
    ours = set(cases.environment(job)) - {variable.name for variable in job.spec.trainer.env}
    free = {"HOME", "PYTHONUNBUFFERED", "HF_HOME", "HF_TOKEN"}
    assert [name for name in ours - free if not reserved(name)] == []


def reserved(name: str) -> bool:
    return name in contract.RESERVED_ENV or name.startswith(contract.RESERVED_ENV_PREFIXES)


def test_torchrun_finds_the_same_as_the_launcher():
    env = cases.environment(cases.read("two-nodes"))
    for name in ("NNODES", "NODE_RANK", "NPROC_PER_NODE", "MASTER_ADDR", "MASTER_PORT"):
        assert env[f"PET_{name}"] == env[name]
    assert env["RANK"] == env["NODE_RANK"]


def test_the_jobs_own_variables_win_over_defaults_and_come_last():
    env = cases.environment(cases.read("hub"))
    assert env["HF_HOME"] == "/output/hub"
    assert env["HF_TOKEN"] == {"secretKeyRef": {"name": "hf", "key": "token"}}
    assert env["WANDB_API_KEY"] == {"secretKeyRef": {"name": "wandb", "key": "api-key"}}
    assert list(env)[-2:] == ["HF_HOME", "WANDB_API_KEY"]


@pytest.mark.parametrize(
    ("given", "limits", "processes"),
    [
        (None, {}, 1),
        (3, {}, 3),
        (None, {"nvidia.com/gpu": 8}, 8),
        (None, {"nvidia.com/gpu": "4", "memory": "900Gi"}, 4),
        (None, {"amd.com/gpu": "2000m"}, 2),
        (None, {"nvidia.com/gpu": 0}, 1),
        (None, {"nvidia.com/gpu-memory": 80}, 1),
        (1, {"nvidia.com/gpu": 8}, 1),
    ],
)
def test_processes_per_node(given: int | None, limits: dict[str, int | str], processes: int):
    distributed = {} if given is None else {"processesPerNode": given}
    assert processes_per_node(cases.small(distributed=distributed, resources={"limits": limits}).spec) == processes


def test_the_longest_names_fit():
    """A host name and a label value have at most 63 characters, whatever number an attempt gets in years."""
    job, attempt, nodes = "x" * MAX_NAME, 99_999, 1024
    assert len(f"{attempt_name(job, attempt)}-{nodes - 1}") <= 63
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", part) for part in master_address(job, attempt).split("."))
    service, config_map, rendered = cases.attempt(cases.small(name=job), attempt)
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", service["metadata"]["name"])
    for labels in (rendered["metadata"]["labels"], rendered["spec"]["template"]["metadata"]["labels"]):
        assert all(len(value) <= 63 for value in labels.values())
    assert len(config_map["metadata"]["name"]) <= 253


def test_pods_are_in_the_service_that_names_them():
    service, _, job = cases.attempt(cases.small())
    template = job["spec"]["template"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"] == service_name("small")
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert cases.environment(cases.small())["MASTER_ADDR"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
