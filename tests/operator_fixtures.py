"""Fixtures of the tests that need the operator: one on the control plane serves them all, each in a namespace of its own.

There must not be two: every operator serves every namespace. (pytest makes a session's fixture once for each conftest.py that
names it, which is why these are named by the topmost one only.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api import Api
from cluster.control_plane import ControlPlane
from cluster.operator_process import operator_process
from cluster.ports import free_port
from cluster.process import Process
from shell.jobs import Submit, Submitted, claim, finetune_job


@pytest.fixture(scope="session")
def operator_port() -> int:
    """Port of the operator's /metrics."""
    return free_port()


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, operator_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The operator, running. In the audit log it is the user `operator`."""
    log = tmp_path_factory.mktemp("operator") / "log"
    env = {"FINETUNE_OPERATOR_PROGRESS_SECONDS": "1", "FINETUNE_OPERATOR_HEALTH_PORT": str(operator_port)}
    process = operator_process(control_plane.kubeconfig_for("operator"), log, env)
    process.start()
    yield process
    process.kill()
    crashes = [line for line in log.read_text().splitlines() if "operator itself" in line]
    assert not crashes, crashes[0]


@pytest.fixture
def nobody_else(operator: Process) -> Iterator[None]:
    """The operator of the other tests is away."""
    operator.kill()
    yield
    operator.start()


@pytest.fixture
def submit(operator: Process, api: Api, namespace: str) -> Submit:
    """Create a job (see jobs.finetune_job) in the test's namespace, where there is a claim for its output."""
    api.create(claim(namespace))

    def create(name: str = "a", **parts: Any) -> Submitted:
        api.create(finetune_job(namespace, name, **parts))
        return Submitted(api, namespace, name)

    return create
