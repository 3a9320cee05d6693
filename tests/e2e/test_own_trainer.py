"""Trainers that know nothing of the operator: a plain torchrun script and a plain accelerate script."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes import client

from .conftest import Installed
from .jobs import own, script_volume
from .world import World

pytestmark = pytest.mark.e2e

SCRIPTS = Path(__file__).parent / "scripts"
#: `--multi_gpu` is accelerate's word for torchrun's way of starting processes; its `--cpu` starts one alone, or wants MPI.
ACCELERATE = (
    "accelerate", "launch", "--multi_gpu", "--num_machines", "$(NNODES)", "--machine_rank", "$(NODE_RANK)", "--num_processes", "2",
    "--main_process_ip", "$(MASTER_ADDR)", "--main_process_port", "$(MASTER_PORT)", "--mixed_precision", "no",
    "--dynamo_backend", "no", "/scripts/accelerate_script.py",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "command"), [("torchrun", ("torchrun", "/scripts/torchrun_script.py")), ("accelerate", ACCELERATE)]
)
def test_unmodified_script(installed: Installed, world: World, name: str, command: tuple[str, ...]) -> None:
    files = {path.name: path.read_text() for path in SCRIPTS.glob("*.py")}
    client.CoreV1Api(installed.api).create_namespaced_config_map(world.namespace, {"metadata": {"name": "scripts"}, "data": files})
    output = {"volume": {"persistentVolumeClaim": {"claimName": "shared"}}}
    world.apply(own(name, *command, podTemplate=script_volume("scripts"), output=output))
    status = world.until_phase(name, "Succeeded")
    assert (world.output(name) / "world_size.txt").read_text() == "2"
    assert status.get("progress", {}).get("step") is None
