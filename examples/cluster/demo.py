"""The demo: a cluster of two nodes, the operator from its chart, one `kubectl apply`, and the result put to the test.

The last line is a JSON object: phase, firstLoss, lastLoss (as logged), apiWrites (of the operator), secondsToRunning (from apply to
both pods running) and seconds (from apply to the end). `make demo-down` takes everything away again.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import cluster
from cluster import chart
from examples.quickstart import get_model, make_data

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
JOB = HERE / "smollm2-lora-2nodes.yaml"
NAMESPACE, NAME = "demo", "smollm2-lora"
OUTPUT = Path(NAME)
LOCAL_OUTPUT = Path("runs/demo-local")
FINETUNE = Path(sys.executable).with_name("finetune")
#: Largest difference of a step's loss between the cluster and the same file run on this machine.
TOLERANCE = 1e-4
LONGEST = 1200.0


class Demo:
    """The cluster of the demo, and commands that are shown as you would type them."""

    def __init__(self) -> None:
        self.cluster = cluster.up()
        self.env = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        self.env["PATH"] = f"{self.cluster.binaries}:{self.env['PATH']}"

    def run(self, *command: str | Path, capture: bool = False) -> str:
        """Show a command, run it in the repository's root and return what it printed, if asked for; leave if it fails."""
        shown = [str(Path(part).relative_to(ROOT)) if Path(part).is_relative_to(ROOT) else str(part) for part in command]
        print(f"\n$ {shlex.join(shown)}", flush=True)
        stdout = subprocess.PIPE if capture else None
        done = subprocess.run(shown, cwd=ROOT, env=self.env, stdout=stdout, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
        return (done.stdout or "").strip()

    def get(self, *what: str) -> dict[str, Any]:
        """An object of the cluster."""
        done = subprocess.run(["kubectl", "get", *what, "-o", "json"], env=self.env, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def prepare_volume(demo: Demo) -> None:
    """Model and data on the volume that both nodes mount."""
    demo.run("kubectl", "apply", "-f", HERE / "volume.yaml")
    model = demo.cluster.shared / "models" / "smollm2"
    model.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(get_model.main() / get_model.GGUF, model / get_model.GGUF)
    make_data.main(demo.cluster.shared / "data")


def fresh(demo: Demo) -> None:
    """Neither the job nor a result of it is there."""
    demo.run("kubectl", "-n", NAMESPACE, "delete", "ftj", NAME, "--ignore-not-found", "--wait")
    shutil.rmtree(demo.cluster.shared / OUTPUT, ignore_errors=True)


def train(demo: Demo) -> tuple[dict[str, Any], float]:
    """Apply the job and watch it to its end. Returns the job, and the seconds from apply to phase Running."""
    fresh(demo)
    applied = time.monotonic()
    demo.run("kubectl", "-n", NAMESPACE, "apply", "-f", JOB)
    watch = ["kubectl", "-n", NAMESPACE, "get", "ftj", NAME, "--watch"]
    print(f"\n$ {shlex.join(watch)}", flush=True)
    watching = subprocess.Popen(watch, env=demo.env)
    try:
        running = float("nan")
        while time.monotonic() < applied + LONGEST:
            job = demo.get("-n", NAMESPACE, "ftj", NAME)
            phase = job.get("status", {}).get("phase")
            if phase == "Running" and math.isnan(running):
                running = time.monotonic() - applied
            if phase in ("Succeeded", "Failed"):
                return job, running
            time.sleep(0.5)
    finally:
        watching.terminate()
        watching.wait()
    demo.run("kubectl", "-n", NAMESPACE, "describe", "ftj", NAME)
    raise SystemExit(f"The job has not finished within {LONGEST:.0f} s.")


def losses(output: Path) -> dict[int, float]:
    """Step -> loss, from the log of a run."""
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text().splitlines()]
    return {line["current_steps"]: line["loss"] for line in lines if "loss" in line}


def compare(demo: Demo, on_cluster: dict[int, float]) -> None:
    """Run the same file on this machine and compare the losses of every logged step.

    Raises:
        SystemExit: they differ.
    """
    shared = ("--mount", f"shared={demo.cluster.shared}")
    demo.run(FINETUNE, "run", JOB, *shared, "--output", LOCAL_OUTPUT, "--fresh", "--yes")
    here = losses(ROOT / LOCAL_OUTPUT)
    apart = max(abs(here[step] - loss) for step, loss in on_cluster.items()) if here.keys() == on_cluster.keys() else None
    if apart is None or apart > TOLERANCE:
        raise SystemExit(f"The losses of cluster and machine differ (tolerance {TOLERANCE}): {on_cluster} {here}")
    print(f"\nCluster and this machine: the same loss in {len(here)} logged steps, largest difference {apart:.1e}.")


def api_writes(demo: Demo) -> int:
    """Requests of the operator that changed something, since it started, as its own metrics count them."""
    pods = demo.get("-n", chart.NAMESPACE, "pods", "-l", "app.kubernetes.io/name=finetune-operator")["items"]
    path = f"/api/v1/namespaces/{chart.NAMESPACE}/pods/{pods[0]['metadata']['name']}:8081/proxy/metrics"
    done = subprocess.run(["kubectl", "get", "--raw", path], env=demo.env, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("finetune_operator_api_requests_total{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines if 'verb="GET"' not in line))


def seconds_between(first: str, last: str) -> float:
    """Between two times of the API."""
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def main() -> None:
    """All steps, from nothing to an answer of the trained model."""
    demo = Demo()
    demo.run(*chart.upgrade_command(demo.cluster, progress_seconds=5))
    prepare_volume(demo)
    writes_before = api_writes(demo)
    job, running = train(demo)
    writes = api_writes(demo) - writes_before
    status, created = job["status"], job["metadata"]["creationTimestamp"]
    demo.run("kubectl", "-n", NAMESPACE, "get", "ftj", "-o", "wide")
    if status["phase"] != "Succeeded":
        demo.run("kubectl", "-n", NAMESPACE, "describe", "ftj", NAME)
        raise SystemExit(f"The job has failed: {status.get('message', '')}")
    output = demo.cluster.shared / OUTPUT
    demo.run(FINETUNE, "chat", output, "--mount", f"shared={demo.cluster.shared}", "--once", "What does collections.Counter do?")
    found = losses(output)
    compare(demo, found)
    first, *_, last = found.values()
    print(f"\nThe cluster is up: export KUBECONFIG={demo.cluster.kubeconfig}\nTake it away: make demo-down")
    summary = {
        "phase": status["phase"],
        "firstLoss": first,
        "lastLoss": last,
        "apiWrites": writes,
        "secondsToRunning": round(running, 1),
        "seconds": seconds_between(created, status["completionTime"]),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
