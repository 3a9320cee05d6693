"""A Kubernetes control plane without nodes: etcd, API server and controllers on loopback, up in seconds.

Jobs, garbage collection, namespaces, TTL, RBAC and Pod Security are the real ones. Nothing runs pods: see kubelet.py.
"""

from __future__ import annotations

import json
import secrets
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from cluster.api import Api, ApiError
from cluster.audit import AuditLog
from cluster.eventually import eventually
from cluster.lacks import Lacking
from cluster.ports import free_port
from cluster.process import Process

CONTROLLERS = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "ttl-after-finished-controller",
    "serviceaccount-controller",
    # Claims get a finalizer when they are made; only these take it off again.
    "persistentvolumeclaim-protection-controller",
    "persistentvolume-protection-controller",
)
_USERS = ("admin", "controllers", "scheduler", "kubelet", "operator")
_START_SECONDS = 60.0


class ControlPlane:
    """Use as a context manager, or call start and stop.

    Args:
        binaries: folder with etcd, kube-apiserver, kube-controller-manager (and kube-scheduler).
        folder: an empty folder for keys, data and logs.
        scheduler: run kube-scheduler too.
        crds: folder of CustomResourceDefinitions to create at the start.
        admission: plugins of the API server beside those that it has by default.

    Attributes:
        kubeconfig: of a user who may do everything.
        api: that user's access.
        audit: what was written, by whom.
        api_server, etcd, controllers, scheduler: the processes; any may be killed (use `start_api_server` to have that one back).
    """

    def __init__(
        self, binaries: Path, folder: Path, *, scheduler: bool = False, crds: Path | None = None, admission: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._crds = crds
        self._tokens = {user: secrets.token_hex(16) for user in _USERS}
        self.kubeconfig = folder / "admin.kubeconfig"
        self.audit = AuditLog(folder)
        port = free_port()
        self.server = f"https://127.0.0.1:{port}"
        self.etcd = self._process(binaries, "etcd", _etcd_options(folder))
        self.api_server = self._process(binaries, "kube-apiserver", _api_server_options(folder, port, self.audit, admission))
        self.controllers = self._process(binaries, "kube-controller-manager", _controllers_options(folder))
        self.scheduler = self._process(binaries, "kube-scheduler", _scheduler_options(folder)) if scheduler else None

    def _process(self, binaries: Path, program: str, options: Sequence[str]) -> Process:
        return Process([binaries / program, *options], self.folder / f"{program}.log", cwd=self.folder)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until Jobs and service accounts work.

        Raises:
            Lacking: openssl or setpriv is not there.
            RuntimeError: a component ended at once; with the end of its log.
        """
        for program, package in (("openssl", "openssl"), ("setpriv", "util-linux")):
            if shutil.which(program) is None:
                raise Lacking(f"A control plane needs `{program}`: install the package {package}")
        _make_key(self.folder / "service-accounts.key")
        rows = [f'{token},{user},{user},"system:masters"' for user, token in self._tokens.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        self.etcd.start()
        self.start_api_server()
        for user, token in self._tokens.items():
            self._write_kubeconfig(self.folder / f"{user}.kubeconfig", token)
        self.api = Api(self.kubeconfig)
        self.controllers.start()
        if self.scheduler:
            self.scheduler.start()
        for file in sorted(self._crds.glob("*.yaml")) if self._crds else []:
            self._install_crd(yaml.safe_load(file.read_text()))
        eventually(lambda: self._alive(self.controllers) and self.api.find("ServiceAccount", "default", "default"), _START_SECONDS)

    def start_api_server(self) -> None:
        """Start the API server, for example after `api_server.kill()`, at the same address, and wait until it is ready."""
        self.api_server.start()
        eventually(lambda: self._alive(self.etcd) and self._alive(self.api_server) and self._ready(), _START_SECONDS, every=0.02)

    def stop(self) -> None:
        """End all processes; what they knew is of no use any more, so without waiting for their farewells."""
        for process in (self.scheduler, self.controllers, self.api_server, self.etcd):
            if process:
                process.kill()

    def kubeconfig_for(self, user: str) -> Path:
        """Kubeconfig of a user who may do everything and appears in the audit log as `user`: admin, kubelet or operator."""
        return self.folder / f"{user}.kubeconfig"

    def kubeconfig_of_service_account(self, namespace: str, name: str) -> Path:
        """Kubeconfig with a fresh token of an existing ServiceAccount: a program that uses it may do what RBAC allows.

        Raises:
            ApiError: there is no such ServiceAccount.
        """
        at = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600 * 4}}
        file = self.folder / f"{namespace}.{name}.kubeconfig"
        self._write_kubeconfig(file, self.api.request("POST", at, request)["status"]["token"], namespace)
        return file

    def _install_crd(self, crd: dict[str, Any]) -> None:
        self.api.create(crd)
        name, version = crd["metadata"]["name"], crd["spec"]["versions"][0]["name"]
        plural, _, group = name.partition(".")

        def served() -> bool:
            try:
                return "items" in self.api.request("GET", f"/apis/{group}/{version}/{plural}")
            except ApiError as error:
                if error.status in (404, 429):  # Not known yet; its storage is being set up.
                    return False
                raise

        eventually(served, _START_SECONDS)

    def _alive(self, process: Process) -> bool:
        if not process.running:
            raise RuntimeError(f"{process.argv[0]} ended with {process.wait()}:\n{process.last_lines()}")
        return True

    def _ready(self) -> bool:
        certificate = self.folder / "pki/apiserver.crt"
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            request = urllib.request.Request(f"{self.server}/readyz", headers={"Authorization": f"Bearer {self._tokens['admin']}"})
            with urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)).open(
                request, timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except OSError:  # Also urllib's errors, and a certificate that is not written yet.
            return False

    def _write_kubeconfig(self, file: Path, token: str, namespace: str = "default") -> None:
        cluster = {"server": self.server, "certificate-authority": str(self.folder / "pki/apiserver.crt")}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "control-plane", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "control-plane", "user": "user", "namespace": namespace}}],
            "current-context": "it",
        }
        file.write_text(json.dumps(document))
        file.chmod(0o600)


def _etcd_options(folder: Path) -> list[str]:
    """Unix sockets in its working folder instead of ports; for the peers' one etcd wants a name that looks like host:port."""
    return [
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=unix://{folder / 'etcd.sock'}",
        "--advertise-client-urls=http://127.0.0.1:1",  # For other members, and there are none.
        "--listen-peer-urls=unix://peer:1",
        "--initial-advertise-peer-urls=unix://peer:1",
        "--initial-cluster=default=unix://peer:1",
    ]


def _api_server_options(folder: Path, port: int, audit: AuditLog, admission: Sequence[str]) -> list[str]:
    return [
        f"--etcd-servers=unix://{folder / 'etcd.sock'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'pki'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        f"--audit-policy-file={audit.policy}",
        f"--audit-log-path={audit.path}",
        *([f"--enable-admission-plugins={','.join(admission)}"] if admission else []),
    ]


def _controllers_options(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'controllers.kubeconfig'}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-job-syncs=10",
    ]


def _scheduler_options(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'scheduler.kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    ]


def _make_key(file: Path) -> None:
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(file)], check=True, capture_output=True
    )
