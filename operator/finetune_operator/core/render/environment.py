"""The environment of a node: the contract with the launcher, names that torchrun knows, and the job's own variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune_api import contract as c
from finetune_api.names import COMPLETION_INDEX
from finetune_api.part import SecretKey
from finetune_api.spec import EnvVar, FineTuneJobSpec
from finetune_operator.core.model import Job, Manifest
from finetune_operator.core.render.merge import merge
from finetune_operator.core.render.volumes import SCRATCH_DIR
from finetune_operator.core.topology import master_address, processes_per_node

_NODE_RANK: Manifest = {"fieldRef": {"fieldPath": f"metadata.annotations['{COMPLETION_INDEX}']"}}
_POD_UID: Manifest = {"fieldRef": {"fieldPath": "metadata.uid"}}


def environment(job: Job, attempt: int) -> list[Manifest]:
    """All variables, the job's own last, so that their values may refer to the others as $(NAME)."""
    place: Mapping[str, str | Manifest] = {
        c.ENV_NNODES: str(job.spec.distributed.nodes),
        c.ENV_NODE_RANK: _NODE_RANK,
        c.ENV_NPROC_PER_NODE: str(processes_per_node(job.spec)),
        c.ENV_MASTER_ADDR: master_address(job.key.name, attempt),
        c.ENV_MASTER_PORT: str(job.spec.distributed.master_port),
    }
    ours: Mapping[str, str | Manifest] = {
        **place,
        c.ENV_RANK: _NODE_RANK,
        **{f"PET_{name}": value for name, value in place.items()},
        "FORCE_TORCHRUN": "1",
        c.ENV_JOB_FILE: c.JOB_FILE,
        c.ENV_JOB_CREATED: str(int(job.created_at)),
        c.ENV_ATTEMPT: str(attempt),
        c.ENV_POD_UID: _POD_UID,
        "HOME": SCRATCH_DIR,
        "PYTHONUNBUFFERED": "1",
        **_output(job.spec),
        **dict(_hub_token(job.spec)),
    }
    base = [_variable(name, value) for name, value in ours.items()]
    env: list[Manifest] = merge({"env": base}, {"env": [_own(variable) for variable in job.spec.trainer.env]})["env"]
    return env


def _output(spec: FineTuneJobSpec) -> dict[str, str]:
    if spec.output.volume is None:
        return {}
    return {c.ENV_OUTPUT_DIR: c.OUTPUT_DIR, "HF_HOME": f"{c.CACHE_DIR}/huggingface"}


def _hub_token(spec: FineTuneJobSpec) -> Iterator[tuple[str, Manifest]]:
    if spec.model is not None and spec.model.token_secret_ref is not None:
        yield "HF_TOKEN", _secret(spec.model.token_secret_ref)


def _own(variable: EnvVar) -> Manifest:
    source = variable.value_from
    return _variable(variable.name, variable.value if source is None else _secret(source.secret_key_ref))


def _secret(key: SecretKey) -> Manifest:
    return {"secretKeyRef": {"name": key.name, "key": key.key}}


def _variable(name: str, value: str | Manifest) -> Manifest:
    return {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
