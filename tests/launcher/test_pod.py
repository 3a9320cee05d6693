"""A launcher as a pod's container runs it: process 1, a user that has no name, and nothing to write but a few folders."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import ROOT, free_port, gone, wait_for

import gang
from finetune_api.contract import ExitCode
from finetune_trainer.results.samples import read_samples
from unavailable import unavailable

PID_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
#: Makes everything read-only but $1, and goes on as user 12345. The interpreter may be in a folder that only root can read.
CONTAINER = """
mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift &&
! touch /usr/probe 2> /dev/null &&
exec setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs \
    --inh-caps -all,+dac_read_search --ambient-caps +dac_read_search "$@"
"""


@pytest.fixture(autouse=True)
def root():
    tried = subprocess.run([*PID_NAMESPACE, "--mount", "true"], capture_output=True, text=True)
    if tried.returncode:
        unavailable(f"no namespaces for a container: {tried.stderr.strip()}")


def only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(wait_for(lambda: children.read_text().split()[:1])[0])


def test_process_1_hears_sigterm(nodes):
    node = nodes().start("run_until_stopped", within=PID_NAMESPACE, nproc=1, FINETUNE_PARENT_PID="")
    launcher = only_child(node.process.pid)
    wait_for(lambda: "ranks started" in node.log)
    wait_for(lambda: (node.output / "pid-0").exists())
    os.kill(launcher, signal.SIGTERM)
    assert node.ended() == ExitCode.PREEMPTED
    assert int((node.output / "saved-0").read_text()) == node.termination["step"] and gone(launcher)


def test_it_trains_with_a_read_only_file_system(tmp_path: Path, tiny_llama: Path):
    for name in ("tmp", "output", "cache", "data"):
        (tmp_path / name).mkdir()
    data = gang.write_alpaca(tmp_path / "data/pairs.jsonl", 12)
    job = tmp_path / "data/job.yaml"
    training = {"maxSteps": 2, "reportTo": ["tensorboard"]}
    job.write_text(json.dumps(gang.job(tiny_llama, data, training, dataset={"evalFraction": 0.2}, output={"samples": 2})))
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, 12345, 12345)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "operator", ROOT / "trainer_image"))),
        "HOME": str(tmp_path / "tmp"),
        "TMPDIR": str(tmp_path / "tmp"),
        "HF_HOME": str(tmp_path / "cache/huggingface"),
        "NPROC_PER_NODE": "1",
        "FINETUNE_JOB_FILE": str(job),
        "FINETUNE_OUTPUT_DIR": str(tmp_path / "output"),
        "FINETUNE_HTTP_PORT": "0",
        "FINETUNE_TERMINATION_LOG": str(tmp_path / "tmp/termination"),
        "MASTER_PORT": str(free_port()),
    }
    container = ["sh", "-c", CONTAINER, "sh", str(tmp_path), sys.executable, "-m", "finetune_trainer"]
    done = subprocess.run(
        [*PID_NAMESPACE, "--mount", *container], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "Read-only file system" not in done.stdout + done.stderr and "warning:" not in done.stdout
    said = json.loads((tmp_path / "tmp/termination").read_text())
    assert (said["reason"], said["progress"]["phase"], said["progress"]["lastCheckpointStep"]) == ("Completed", "done", 2)
    written = {path.name for path in (tmp_path / "output").iterdir()}
    assert {"adapter_model.safetensors", "training_loss.png", "report.html", "README.md", "tensorboard"} <= written
    asked = read_samples(tmp_path / "output")
    assert asked is not None and len(asked.samples) == 2 and asked.samples[0].prompt
    assert "Before training" in (tmp_path / "output/report.html").read_text()
