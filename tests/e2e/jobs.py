"""FineTuneJobs for the tests: the tiny model on two nodes, and jobs that bring their own command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gang

Manifest = dict[str, Any]

SAMPLES, EPOCHS, SAVE_STEPS = 120, 2, 7
#: Micro-batch 1 x 2 ranks.
STEPS = SAMPLES * EPOCHS // 2
#: Kills the one rank process of a pod: a child of Python's forkserver, which is a child of the launcher.
KILL_A_RANK = """
import os, signal
from pathlib import Path

stat = {int(p.parent.name): p.read_text().rpartition(")")[2].split() for p in Path("/proc").glob("[0-9]*/stat")}
parent = {pid: int(fields[1]) for pid, fields in stat.items()}
servers = [pid for pid in parent if parent[pid] == 1 and b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
(rank,) = [pid for pid in parent if parent[pid] in servers]
os.kill(rank, signal.SIGKILL)
"""


def put_inputs(shared: Path, model: Path) -> None:
    """Model and data on the volume."""
    shutil.copytree(model, shared / "model")
    for file in (shared / "model").iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner may read.
    gang.write_alpaca(shared / "pairs.jsonl", SAMPLES)


def job(name: str, **spec: Any) -> Manifest:
    """Any FineTuneJob."""
    return {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": name}, "spec": spec}


def training(name: str, **groups: Any) -> Manifest:
    """Trains the tiny model with dropout on two nodes; `groups` are further parts of the spec, `training` settings among them."""
    settings = {
        "method": "lora", "lora": {"rank": 4, "dropout": 0.1}, "precision": "fp32", "gradientCheckpointing": False,
        "numTrainEpochs": EPOCHS, "perDeviceTrainBatchSize": 1, "loggingSteps": 1, "saveSteps": SAVE_STEPS,
        **groups.pop("training", {}),
    }  # fmt: skip
    return job(
        name,
        model={"source": "pvc://shared/model"},
        dataset={"sources": [{"uri": "pvc://shared/pairs.jsonl", "format": "alpaca"}], "maxLength": 96},
        training=settings,
        distributed={"nodes": 2, "processesPerNode": 1},
        output={"volume": {"persistentVolumeClaim": {"claimName": "shared"}}},
        resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}, "sharedMemory": "256Mi"},
        runPolicy={"gracefulStopSeconds": 60, **groups.pop("runPolicy", {})},
        trainer={"env": [{"name": "OMP_NUM_THREADS", "value": "1"}]},
        **groups,
    )


def own(name: str, *command: str, nodes: int = 2, **groups: Any) -> Manifest:
    """Runs a command of its own on every node."""
    return job(name, distributed={"nodes": nodes}, trainer={"command": list(command), **groups.pop("trainer", {})}, **groups)


def script_volume(config_map: str) -> Manifest:
    """podTemplate that mounts a ConfigMap at /scripts."""
    return {
        "spec": {
            "volumes": [{"name": "scripts", "configMap": {"name": config_map}}],
            "containers": [{"volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}]}],
        }
    }
