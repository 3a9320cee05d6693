"""The trainer reads what the operator renders: both sides of the contract, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob
from finetune_operator.core.model import Job
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Token
from finetune_trainer.mounts import local_path
from finetune_trainer.settings import NodeSettings
from render import cases

#: Jobs of our own trainer.
OURS = [name for name in cases.NAMES if not cases.read(name).spec.trainer.command]


def environment_in_pod(job: Job, attempt: int, rank: int) -> dict[str, str]:
    """What a process sees after the Job controller and the kubelet have filled in fieldRefs; Secrets are left out."""
    fields = {"metadata.annotations['batch.kubernetes.io/job-completion-index']": str(rank), "metadata.uid": f"uid-{rank}"}

    def filled(value: Any) -> str:
        return value if isinstance(value, str) else fields[value["fieldRef"]["fieldPath"]]

    variables = cases.environment(job, attempt).items()
    return {name: filled(value) for name, value in variables if isinstance(value, str) or "fieldRef" in value}


def mounted(job: Job) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in cases.container(job)["volumeMounts"]}


@pytest.mark.parametrize("name", OURS)
def test_settings(name: str):
    job = cases.read(name)
    settings = NodeSettings.from_env(environment_in_pod(job, attempt=2, rank=0))
    assert (settings.nnodes, settings.node_rank) == (job.spec.distributed.nodes, 0)
    assert settings.token == Token(int(job.created_at), 2, "uid-0")
    assert (settings.master_addr, settings.master_port) == (f"{name}-2-0.ftj-{name}", job.spec.distributed.master_port)
    assert settings.parent_pid is None
    assert settings.http_port == cases.container(job)["ports"][0]["containerPort"]
    assert str(settings.job_file.parent) in mounted(job)
    assert mounted(job)[str(settings.output_dir)]["subPath"] == (job.spec.output.path or name)


def test_each_pod_has_a_rank_of_its_own():
    job = cases.read("two-nodes")
    both = [NodeSettings.from_env(environment_in_pod(job, 0, rank)) for rank in (0, 1)]
    assert [settings.node_rank for settings in both] == [0, 1]
    assert [settings.nproc_per_node for settings in both] == [2, 2]


@pytest.mark.parametrize("name", OURS)
def test_the_job_file_is_the_job(name: str, tmp_path: Path):
    job = cases.read(name)
    loaded = rendered_job(job, tmp_path)
    settings = NodeSettings.from_env(environment_in_pod(job, 0, 0))
    assert loaded.spec.distributed.processes_per_node == settings.nproc_per_node
    distributed = job.spec.distributed.model_copy(update={"processes_per_node": settings.nproc_per_node})
    assert loaded.spec == job.spec.model_copy(update={"distributed": distributed})


def rendered_job(job: Job, folder: Path) -> FineTuneJob:
    """Mounts the ConfigMap, that is: writes its keys to files."""
    _, config_map, _ = cases.attempt(job)
    for key, text in config_map["data"].items():
        (folder / key).write_text(text)
    return load_job(folder / NodeSettings.from_env(environment_in_pod(job, 0, 0)).job_file.name)


@pytest.mark.parametrize("name", OURS)
def test_model_and_data_are_mounted_where_the_trainer_looks(name: str):
    job = cases.read(name)
    assert job.job is not None
    sources = [*job.job.dataset.sources, *job.job.dataset.eval_sources]
    for uri in (job.job.model.source, *(source.uri for source in sources)):
        if uri.startswith(("pvc://", "configmap://")):
            with pytest.raises(UserError) as missing:
                local_path(uri, {}, Path("/"))
            folder = str(missing.value).split("no folder ")[1].split()[0].rstrip(".")
            assert mounted(job)[folder]["readOnly"] is True
