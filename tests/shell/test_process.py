"""The operator as a process: its configuration, its logs, its health."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.api import Api
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.operator_process import operator_process
from cluster.ports import free_port
from cluster.process import Process
from finetune_operator.core.model import Config
from finetune_operator.shell.config import ConfigError, LeaseSettings, OperatorSettings
from finetune_operator.shell.logs import JsonFormatter, current_job
from shell.jobs import Submitted, claim, finetune_job, secret

IMAGE = {"FINETUNE_OPERATOR_TRAINER_IMAGE": "example/trainer:1"}


def test_defaults():
    settings = OperatorSettings.from_env(IMAGE)
    assert settings == OperatorSettings(Config("example/trainer:1", "IfNotPresent", 30.0), 8081, (), "INFO")


def test_all_can_be_set():
    env = {
        "IMAGE_PULL_POLICY": "Never",
        "PROGRESS_SECONDS": "5",
        "HEALTH_PORT": "9000",
        "NAMESPACES": " a, b,a,",
        "LOG_LEVEL": "DEBUG",
        "JOB_SERIES": "50",
        "LEASE": "ns/operator",
        "IDENTITY": "operator-1",
        "SERVICE_HOST": "10.0.0.1",  # Kubernetes' own, of a Service with the operator's name.
    }
    settings = OperatorSettings.from_env(IMAGE | {f"FINETUNE_OPERATOR_{name}": value for name, value in env.items()})
    assert settings == OperatorSettings(
        Config("example/trainer:1", "Never", 5.0),
        health_port=9000,
        namespaces=("a", "b"),
        log_level="DEBUG",
        job_series=50,
        lease=LeaseSettings("ns", "operator", "operator-1"),
    )


def test_a_replica_needs_a_name():
    with pytest.raises(ConfigError, match=r"^FINETUNE_OPERATOR_IDENTITY is not set\. [^\n]*$"):
        OperatorSettings.from_env(IMAGE | {"FINETUNE_OPERATOR_LEASE": "ns/operator"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRAINER_IMAGE", " "),
        ("IMAGE_PULL_POLICY", "Sometimes"),
        ("PROGRESS_SECONDS", "0"),
        ("PROGRESS_SECONDS", "fast"),
        ("HEALTH_PORT", "65536"),
        ("HEALTH_PORT", "-1"),
        ("NAMESPACES", "a,B"),
        ("LOG_LEVEL", "loud"),
        ("JOB_SERIES", "1001"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: str):
    with pytest.raises(ConfigError, match=f"^FINETUNE_OPERATOR_{name} is [^\n]*$"):
        OperatorSettings.from_env({**IMAGE, f"FINETUNE_OPERATOR_{name}": value})


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"FINETUNE_OPERATOR_TRAINER_IMAGE": ""}, "FINETUNE_OPERATOR_TRAINER_IMAGE is not set"),
        ({"KUBECONFIG": "/nowhere"}, "Set KUBECONFIG"),
    ],
)
def test_what_cannot_start_says_why_in_a_line(env: dict[str, str], says: str):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FINETUNE_", "KUBE"))}
    path = {"PYTHONPATH": str(Path(__file__).parents[2] / "operator")}
    done = subprocess.run(
        [sys.executable, "-m", "finetune_operator"],
        env={**clean, **path, **IMAGE, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    """An operator for the namespaces `served-a` and `served-b` only, and its health port."""
    for name in ("served-a", "served-b"):
        control_plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    port = free_port()
    env = {"FINETUNE_OPERATOR_HEALTH_PORT": str(port), "FINETUNE_OPERATOR_NAMESPACES": "served-a,served-b"}
    process = operator_process(control_plane.kubeconfig_for("operator"), tmp_path_factory.mktemp("served") / "log", env)
    process.start()
    yield process, port
    process.kill()


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_it_serves_its_namespaces_and_tells_of_itself(nobody_else: None, served: tuple[Process, int], api: Api, namespace: str):
    process, port = served
    eventually(lambda: _get(port, "/readyz") == (200, "ok"), 20)
    assert _get(port, "/healthz") == (200, "ok")
    for each in ("served-a", "served-b", namespace):
        api.create(claim(each))
        api.create(secret(each, "hub", token="correct horse"))
        model = {"source": "hf://Qwen/Qwen3-8B", "tokenSecretRef": {"name": "hub", "key": "token"}}
        api.create(finetune_job(each, model=model))
    for each in ("served-a", "served-b"):
        eventually(lambda each=each: Submitted(api, each).attempts() == [0])
    assert Submitted(api, namespace).status() == {}
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    eventually(lambda: 'finetune_operator_jobs{phase="Pending"} 2.0' in _get(port, "/metrics")[1])
    metrics = _get(port, "/metrics")[1]
    assert 'finetune_operator_api_requests_total{code="201",resource="jobs",verb="POST"} 2.0' in metrics
    for series in ("queue_depth 0.0", "leader 1.0", 'reconciles_total{result="done"}'):
        assert f"finetune_operator_{series}" in metrics
    assert "served-a" not in metrics  # As many label values as jobs would be too many.
    assert "correct horse" not in process.log.read_text()


def test_nothing_is_written_to_objects_but_what_is_ours(served: tuple[Process, int], api: Api):
    """kopf leaves finalizers and annotations where it is let."""
    eventually(lambda: Submitted(api, "served-a").attempts() == [0])
    for kind, name in (("FineTuneJob", "a"), ("Job", "a-0")):
        metadata = api.get(kind, "served-a", name)["metadata"]
        assert not [key for key in metadata.get("annotations", {}) if "kopf" in key]
        assert not [one for one in metadata.get("finalizers", []) if "kopf" in one]


def test_without_the_crd_it_waits(control_plane: ControlPlane, tmp_path: Path, api: Api):
    """An API server that does not answer yet looks the same: alive, not ready, and no end."""
    port, nobody = free_port(), free_port()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(control_plane.kubeconfig.read_text().replace(control_plane.server, f"https://127.0.0.1:{nobody}"))
    process = operator_process(kubeconfig, tmp_path / "log", {"FINETUNE_OPERATOR_HEALTH_PORT": str(port)})
    process.start()
    eventually(lambda: _get(port, "/healthz") == (200, "ok"), 20)
    assert _get(port, "/readyz")[0] == 503
    eventually(lambda: "Could not list" in process.log.read_text())
    assert process.stop(5) == 0


def test_a_line_names_its_job():
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "two\nlines: %s", ("ü",), None)
    token = current_job.set("team/a")
    line = JsonFormatter().format(record)
    current_job.reset(token)
    assert "\n" not in line
    assert json.loads(line) | {"time": ""} == {
        "time": "", "level": "warning", "logger": "x", "job": "team/a", "message": "two\nlines: ü"
    }  # fmt: skip
    assert "job" not in json.loads(JsonFormatter().format(record))
