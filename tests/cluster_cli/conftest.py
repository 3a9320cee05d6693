"""The command line, logged in to the control plane, with the operator at work and the test playing the kubelet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane
from cluster_cli.finetune import Finetune, kubeconfig


@pytest.fixture
def finetune(control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finetune]:
    """`finetune`, for a user who may do everything in the test's namespace, which is that of the kubeconfig's context."""
    monkeypatch.chdir(tmp_path)
    command = Finetune(kubeconfig(control_plane.kubeconfig, namespace, tmp_path / "kubeconfig"), control_plane)
    yield command
    command.close()
