"""Kubernetes, etcd, CoreDNS, kind and Helm, built from their Go modules: a module proxy is often there where a registry is not.

Versions and checksums are those of the go.mod and go.sum files under go/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cluster.command import run
from cluster.content import digest
from cluster.folders import cache
from cluster.lacks import Lacking
from cluster.locked import locked
from cluster.progress import Log, say

_MODULES = Path(__file__).parent / "go"
_KUBERNETES = "kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl".split()
#: Go since 1.21 fetches by itself the newer Go that a go.mod asks for.
_OLDEST_GO = (1, 21)

#: Name of a program -> (its module under go/, its package; "." is the module's own).
PROGRAMS: Mapping[str, tuple[str, str]] = {
    "etcd": ("etcd", "go.etcd.io/etcd/server/v3"),
    **{name: ("kubernetes", f"k8s.io/kubernetes/cmd/{name}") for name in _KUBERNETES},
    "coredns": ("coredns", "."),
    "kind": ("kind", "sigs.k8s.io/kind"),
    "helm": ("helm", "helm.sh/helm/v4/cmd/helm"),
}
#: Enough for an API server whose controllers run, without nodes.
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def binaries(log: Log = say, names: Iterable[str] = PROGRAMS) -> Path:
    """Return a folder that holds the programs `names`, building those that are missing.

    The folder is cached by content of go/ and by how programs are built. Two processes may ask at the same time, and either may be
    killed: a program appears under its name only when it is complete. The first time, all of them take about 8 minutes on 2 cores
    and 7 GB of Go's own caches.

    Raises:
        Lacking: there is no Go, or one older than 1.21.
    """
    folder = cache() / f"binaries-{content()}"
    missing = _missing(folder, names)
    if missing:
        _check_go()
        log(f"Building {', '.join(missing)} from Go modules (once; about 8 minutes for all, with Go's caches empty)")
    for name in missing:
        with locked(folder / ".locks" / name, log):
            if not (folder / name).exists():
                start = time.monotonic()
                _build(name, folder)
                log(f"  {name}: {time.monotonic() - start:.0f} s")
    return folder


def check_buildable() -> None:
    """Raise Lacking where programs are missing and cannot be built here."""
    if _missing(cache() / f"binaries-{content()}", PROGRAMS):
        _check_go()


def version(module: str) -> str:
    """The version, v1.2.3, at which a go.mod under go/ takes `module` (a Go module's path)."""
    for file in sorted(_MODULES.glob("*/go.mod")):
        found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", file.read_text(), re.MULTILINE)
        if found:
            return found[1]
    raise KeyError(module)


def module_folder(module: str) -> Path:
    """The source of a Go module at that version, in Go's module cache (downloaded if it is not there). Raises Lacking."""
    _check_go()
    return Path(json.loads(run(["go", "mod", "download", "-json", f"{module}@{version(module)}"]))["Dir"])


def content() -> str:
    """A digest of all that decides what the programs are."""
    return digest([_MODULES, *(f"{name} {module} {package} {_flags(module)}" for name, (module, package) in PROGRAMS.items())])


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not (folder / name).exists()]


def _build(name: str, folder: Path) -> None:
    module, package = PROGRAMS[name]
    unfinished = folder / ".unfinished" / name
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    run(["nice", "go", "build", "-ldflags", _flags(module), "-o", str(unfinished), package], cwd=_MODULES / module, env=environment)
    unfinished.rename(folder / name)


def _flags(module: str) -> str:
    """The linker's flags: no symbols, and the version where a program that is built as a dependency cannot know it."""
    if module == "helm":
        return f"-s -w -X helm.sh/helm/v4/internal/version.version={version('helm.sh/helm/v4')}"
    if module != "kubernetes":
        return "-s -w"
    full = version("k8s.io/kubernetes")
    major, minor, _ = full.removeprefix("v").split(".")
    stamps = {"gitVersion": full, "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())


def _check_go() -> None:
    if shutil.which("go") is None:
        raise Lacking("Go is needed to build Kubernetes and kind, and there is no `go` on PATH: install Go 1.21 or newer")
    found = run(["go", "env", "GOVERSION"]).strip()
    numbers = re.match(r"go(\d+)\.(\d+)", found)
    if numbers and tuple(map(int, numbers.groups())) < _OLDEST_GO:
        raise Lacking(f"Go 1.21 or newer is needed to build Kubernetes and kind, and `go` is {found}")
