"""The operator as a process of its own, as it runs in its pod."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster.ports import free_port
from cluster.process import Process

_PACKAGES = Path(__file__).parents[2] / "operator"
IMAGE = "example/trainer:1"


def operator_process(kubeconfig: Path, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """`python -m finetune_operator`, not started yet.

    Args:
        kubeconfig: which cluster, and as whom.
        log: takes its output.
        env: variables besides those that it cannot do without, for example FINETUNE_OPERATOR_NAMESPACES.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FINETUNE_", "KUBE"))},
        "PYTHONPATH": str(_PACKAGES),
        "KUBECONFIG": str(kubeconfig),
        "FINETUNE_OPERATOR_TRAINER_IMAGE": IMAGE,
        "FINETUNE_OPERATOR_HEALTH_PORT": str(free_port()),
        **(env or {}),
    }
    return Process([sys.executable, "-m", "finetune_operator"], log, env=environment)
