"""Starts real launchers on loopback, and waits for them."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


@dataclass
class Node:
    process: subprocess.Popen[str]
    rank: int
    output: Path

    def ended(self, seconds: float = 60.0) -> int:
        """Exit code."""
        return self.process.wait(seconds)

    @property
    def log(self) -> str:
        return (self.output.parent / f"log-{self.rank}.txt").read_text()

    @property
    def termination(self) -> dict[str, Any]:
        return json.loads((self.output.parent / f"termination-{self.rank}.json").read_text())

    @property
    def http_port(self) -> int:
        file = self.output.parent / f"http-{self.rank}"
        return int(wait_for(lambda: file.exists() and file.read_text()))

    def pids(self, count: int) -> list[int]:
        """Processes of the first `count` ranks, once they have joined."""
        files = [self.output / f"pid-{rank}" for rank in range(count)]
        return [int(wait_for(lambda file=file: file.exists() and file.read_text())) for file in files]


@dataclass
class Nodes:
    """The nodes of one attempt on this machine."""

    folder: Path
    policy: dict[str, Any] = field(default_factory=dict)
    distributed: dict[str, Any] = field(default_factory=dict)
    master_port: int = field(default_factory=free_port)
    started: list[Node] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def write_job(self, nnodes: int = 1, nproc: int = 2) -> Path:
        self.folder.mkdir(exist_ok=True)
        job = self.folder / "job.yaml"
        spec = {
            "model": {"source": "file:///nowhere"},
            "dataset": {"sources": [{"uri": "file:///nowhere.jsonl", "format": "alpaca"}]},
            "training": {"maxSteps": 5},
            "distributed": {"nodes": nnodes, "processesPerNode": nproc, **self.distributed},
            "runPolicy": self.policy,
            "trainer": {"env": [{"name": "OF_THE_JOB", "value": "yes"}]},
        }
        job.write_text(
            json.dumps({"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "t"}, "spec": spec})
        )
        return job

    def start(self, entry: str, rank: int = 0, nnodes: int = 1, nproc: int = 2, *, within: Sequence[str] = (), **env: str) -> Node:
        """Start one launcher; `within`: argv of a program that runs it, in the same process."""
        job = self.write_job(nnodes, nproc)
        (self.folder / f"tmp-{rank}").mkdir(exist_ok=True)
        environment = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")},
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "operator", ROOT / "trainer_image", HERE))),
            "TMPDIR": str(self.folder / f"tmp-{rank}"),
            "NNODES": str(nnodes),
            "NODE_RANK": str(rank),
            "NPROC_PER_NODE": str(nproc),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self.master_port),
            "FINETUNE_JOB_FILE": str(job),
            "FINETUNE_OUTPUT_DIR": str(self.output),
            "FINETUNE_ATTEMPT": "0",
            "FINETUNE_POD_UID": f"pod-{rank}",
            "FINETUNE_HTTP_PORT": "0",
            "FINETUNE_HTTP_PORT_FILE": str(self.folder / f"http-{rank}"),
            "FINETUNE_TERMINATION_LOG": str(self.folder / f"termination-{rank}.json"),
            "FINETUNE_PARENT_PID": str(os.getpid()),
            "OMP_NUM_THREADS": "1",
            **env,
        }
        log = (self.folder / f"log-{rank}.txt").open("w")
        argv = [*within, sys.executable, "-m", "fake_launcher", entry]
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)
        self.started.append(Node(process, rank, self.output))
        return self.started[-1]

    def rank_pids(self, count: int) -> list[int]:
        return self.started[0].pids(count)

    def close(self) -> None:
        for node in self.started:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()


def gone(pid: int) -> bool:
    """No process has this number, or only its remains."""
    try:
        return bool(re.search(r"\) [ZX] ", Path(f"/proc/{pid}/stat").read_text()))
    except (FileNotFoundError, ProcessLookupError):
        return True
