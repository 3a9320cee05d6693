"""Everything that can be wrong between a user and a cluster is one line with the next step, and exit code 2."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.api import Api
from cluster_cli.finetune import Finetune, kubeconfig, write
from finetune_cli.cluster import follow
from finetune_cli.cluster.client import connect
from finetune_cli.cluster.errors import ClusterError
from finetune_cli.main import app
from shell.jobs import Submit, finetune_job

COMMANDS = [["list"], ["status", "a"], ["logs", "a"], ["describe", "a"], ["suspend", "a"], ["resume", "a"], ["pull", "a"],
            ["debug", "bundle", "a"]]  # fmt: skip


def line(env: dict[str, str], *arguments: str) -> str:
    """The one line that a command ends with. Nothing of it is on standard output."""
    result = CliRunner().invoke(app, list(arguments), env=env)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def config(folder: Path, server: str) -> dict[str, str]:
    """KUBECONFIG for a server."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (folder / "config").write_text(json.dumps(document))
    return {"KUBECONFIG": str(folder / "config")}


@contextmanager
def server(answers: dict[str, tuple[int, str]]) -> Iterator[str]:
    """An HTTP server that gives these answers (by path), and Kubernetes' 404 for the rest."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path.partition("?")[0], (404, "404 page not found\n"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@contextmanager
def as_user(finetune: Finetune, api: Api, namespace: str, rules: list[dict[str, Any]]) -> Iterator[None]:
    """The command is run by a ServiceAccount that may do only this."""
    for kind in ("ServiceAccount", "Role"):
        manifest = {"metadata": {"name": "someone", "namespace": namespace}}
        version = "v1" if kind == "ServiceAccount" else "rbac.authorization.k8s.io/v1"
        api.create({"apiVersion": version, "kind": kind, **manifest, **({"rules": rules} if kind == "Role" else {})})
    api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "someone", "namespace": namespace},
            "subjects": [{"kind": "ServiceAccount", "name": "someone", "namespace": namespace}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "someone"},
        }
    )
    before = finetune.env
    assert finetune.plane is not None
    login = finetune.plane.kubeconfig_of_service_account(namespace, "someone")
    finetune.env = {**before, "KUBECONFIG": str(kubeconfig(login, namespace, login.with_suffix(".copy")))}
    try:
        yield
    finally:
        finetune.env = before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_kubeconfig(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    text = line({}, *command)
    assert text == (
        f"There is no cluster to talk to: no {tmp_path}/.kube/config. Set KUBECONFIG, or train on this machine: "
        "finetune run JOB.YAML\n"
    )


@pytest.mark.parametrize("content", ["a: [", "", "{}", "[1]", "clusters: 3"])
def test_a_kubeconfig_that_is_none(content: str, tmp_path: Path):
    (tmp_path / "config").write_text(content)
    assert line({"KUBECONFIG": str(tmp_path / "config")}, "list").startswith("The kubeconfig cannot be used: ")


def test_an_unknown_context(tmp_path: Path):
    assert "nope" in line(config(tmp_path, "https://127.0.0.1:1"), "list", "--context", "nope")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nobody_answers(command: list[str], tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        text = line(config(tmp_path, f"https://127.0.0.1:{taken.getsockname()[1]}"), *command)
    assert "does not answer (connection refused)" in text and "kubectl config get-contexts" in text


def test_a_name_that_does_not_exist(tmp_path: Path):
    assert "does not answer (its name is not known)" in line(config(tmp_path, "https://cluster.invalid"), "list")


def test_an_expired_login(tmp_path: Path):
    with server({"/apis/finetune.dev/v1alpha1/namespaces/default/finetunejobs": (401, '{"message": "Unauthorized"}')}) as url:
        assert "log in again" in line(config(tmp_path, url), "list")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_crd(command: list[str], tmp_path: Path):
    with server({}) as url:
        text = line(config(tmp_path, url), *command)
    assert text.startswith("The operator is not installed in this cluster") and "helm install" in text


def test_a_crd_of_another_version(tmp_path: Path):
    group = {"kind": "APIGroup", "versions": [{"groupVersion": "finetune.dev/v2", "version": "v2"}]}
    with server({"/apis/finetune.dev": (200, json.dumps(group))}) as url:
        text = line(config(tmp_path, url), "list")
    assert "version v2; this command speaks finetune.dev/v1alpha1" in text


def test_the_real_server_says_that_a_resource_is_unknown_as_the_stand_in_does(api: Api):
    """What `server` answers is what a real API server does."""
    answer = api._pool.request("GET", f"{api._server}/apis/finetune.dev/v9/finetunejobs", headers=api._headers)
    assert (answer.status, answer.data) == (404, b"404 page not found\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_permission(command: list[str], finetune: Finetune, api: Api, namespace: str):
    with as_user(finetune, api, namespace, []):
        text = line(finetune.env, *command)
    verb = "list" if command == ["list"] else "get"
    assert text.startswith(f"You may not {verb} finetunejobs") and f"kubectl auth can-i {verb} finetunejobs.finetune.dev" in text


@pytest.mark.parametrize("command", COMMANDS[1:], ids=" ".join)
def test_no_such_job(command: list[str], finetune: Finetune, namespace: str):
    assert f"There is no FineTuneJob a in namespace {namespace}. finetune list" in line(finetune.env, *command)


def test_a_mistyped_name(finetune: Finetune, api: Api, namespace: str):
    api.create(finetune_job(namespace, "qwen3-sft"))
    assert "Did you mean qwen3-sft?" in line(finetune.env, "status", "qwen-sft")


def test_a_job_that_is_deleted_under_way(finetune: Finetune, submit: Submit):
    job = submit()
    program = finetune.start("status", "a")
    program.read_until("Pending")
    job.delete()
    assert program.end() == 2
    assert program.output.splitlines()[-1].endswith("under way. What it had written stays in pvc://runs/a.")


def test_a_cluster_that_goes_away_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is waited for, and then left with how to come back."""
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.1)
    job = finetune_job("default")
    job["metadata"] |= {"uid": "1", "creationTimestamp": "2126-01-01T00:00:00Z"}
    with server({"/apis/finetune.dev/v1alpha1/namespaces/default/finetunejobs/a": (200, json.dumps(job))}) as url:
        env = config(tmp_path, url)
        seen = follow.follow(connect(env={**os.environ, **env}), "a")
        assert next(seen).name == "a"
    with pytest.raises(ClusterError, match=r"The job goes on without this command. Look at it again: \S+ status a -n default$"):
        for _ in seen:
            pass


def test_a_namespace_that_does_not_exist(finetune: Finetune):
    text = finetune.says("submit", write(finetune_job("nowhere")), exit_code=2)
    assert text == "There is no namespace nowhere: kubectl create namespace nowhere\n"


def test_what_the_cluster_itself_forbids_is_in_its_own_words(finetune: Finetune, api: Api, namespace: str):
    """A quota is no missing role."""
    hard = {"count/finetunejobs.finetune.dev": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}}
    at = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.request("POST", at, quota)
    api.request(
        "PATCH", f"{at}/none/status", {"status": {"hard": hard, "used": {next(iter(hard)): "0"}}}, "application/merge-patch+json"
    )
    text = finetune.says("submit", write(finetune_job(namespace)), exit_code=2)
    assert text.startswith("The cluster does not allow it: ") and "exceeded quota: none" in text


def test_without_the_package_it_says_how_to_install_it():
    code = "import sys; sys.modules['kubernetes'] = None; from finetune_cli.main import app; app(['list'])"
    paths = os.pathsep.join(str(Path(__file__).parents[2] / folder) for folder in ("operator", "trainer_image"))
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("which is not installed: pip install 'finetune-operator[cluster]'\n")
