"""A Docker engine in namespaces of its own: processes, mounts and networks of its containers end with its first process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from cluster import debian_packages
from cluster.command import succeeds
from cluster.lacks import Lacking
from cluster.prepared import kernel, network
from cluster.prepared.place import place
from cluster.progress import Log

_FILES = Path(__file__).parent / "files"
#: Made by the engine or by files/engine, empty, where they are missing.
_FOLDERS = ("/run/docker", "/run/containerd", "/run/runc", "/lib/modules")
#: Programs of the engine and of the images that it is given, and Debian's packages that have them.
_PACKAGES = {
    "dockerd": "docker.io",
    "tini": "tini",
    "debootstrap": "debootstrap",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
}
_CAP_SYS_RESOURCE = 24
_START_SECONDS = 30
_STOP_SECONDS = 20


class EngineError(Exception):
    """The engine did not start. The message has the last lines of its log."""


def environment(state: Path) -> dict[str, str]:
    """The environment of programs that shall use this engine; its own client comes first on PATH, as a newer one may refuse it."""
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{state / 'docker.sock'}",
        "DOCKER_BUILDKIT": "1",
        "PATH": f"/usr/bin:/usr/sbin:{os.environ.get('PATH', '')}",
    }


def runs(state: Path) -> bool:
    """Whether the engine of that state folder answers."""
    return (state / "docker.sock").exists() and succeeds(["docker", "version"], env=environment(state))


def up(state: Path, data: Path, log: Log) -> None:
    """Start the engine unless it answers. `data` keeps its images from one time to the next.

    Raises:
        Lacking: this machine cannot have it.
        EngineError: it does not start.
    """
    if runs(state):
        return
    if os.geteuid() != 0:
        raise Lacking("No Docker engine answers (`docker info`), and only root can prepare one")
    log("No Docker engine answers (`docker info`): starting one in namespaces of its own")
    debian_packages.install(_PACKAGES, log)
    down(state)
    state.mkdir(parents=True, exist_ok=True)
    before = {"settings": kernel.read_settings(), "missing": [folder for folder in _FOLDERS if not Path(folder).exists()]}
    (state / "before.json").write_text(json.dumps(before))
    process = _start(state, data)
    try:
        network.connect(place(state), process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not runs(state):
            if process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join((state / "dockerd.log").read_text().splitlines()[-10:])
                raise EngineError(f"dockerd does not start; the end of its log:\n{last}")
            time.sleep(0.1)
    except BaseException:
        down(state)
        raise


def down(state: Path) -> None:
    """Stop the engine and all in it, and leave this machine as it was found. Does nothing where there is none."""
    record = state / "before.json"
    if not record.exists():
        return
    _stop(state)
    names = place(state)
    network.disconnect(names)
    kernel.remove_cgroups(names.name)
    before = json.loads(record.read_text())
    kernel.write_settings(before["settings"])
    for folder in before["missing"]:
        if Path(folder).is_dir():
            Path(folder).rmdir()
    for name in ("docker.sock", "engine.pid", "before.json"):
        (state / name).unlink(missing_ok=True)


def _start(state: Path, data: Path) -> subprocess.Popen[bytes]:
    dockerd = [
        *("--data-root", str(data)),
        *("--host", f"unix://{state / 'docker.sock'}"),
        *("--pidfile", "/run/docker/dockerd.pid"),
        *("--storage-driver", "overlay2"),
        *("--exec-opt", "native.cgroupdriver=cgroupfs"),
        *("--cgroup-parent", f"/{place(state).name}"),
        *("--mtu", str(network.largest_packet())),
    ]
    if not _may(_CAP_SYS_RESOURCE):
        dockerd += ["--add-runtime", f"shim={_FILES / 'runc-without-sys-resource'}", "--default-runtime", "shim"]
    namespaces = ["--mount", "--pid", "--mount-proc", "--net", "--ipc", "--fork", "--kill-child=SIGKILL"]
    with (state / "dockerd.log").open("wb") as log:
        argv = ["unshare", *namespaces, str(_FILES / "engine"), *dockerd]
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(state), start_new_session=True
        )
    (state / "engine.pid").write_text(f"{process.pid} {_started(process.pid)}")
    return process


def _stop(state: Path) -> None:
    """End the engine's first process, which ends all others: in order, and by force when that takes too long."""
    try:
        pid, started = (state / "engine.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return
    parent = int(pid)
    first = Path(f"/proc/{parent}/task/{parent}/children")
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_SECONDS
        while _started(parent) == started:
            for child in first.read_text().split():
                os.kill(int(child), number)
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)


def _started(pid: int) -> str | None:
    """When a process was started, in the kernel's own clock: with its id, its identity. None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _may(capability: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return True
