"""`kubectl finetune` on the real cluster: what needs kubelets, from submit to chat."""

from __future__ import annotations

import io
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.eventually import eventually
from cluster_cli.finetune import Finetune, kubeconfig, write
from finetune_cli.cluster.fetch import MARKER

from .conftest import Installed
from .jobs import STEPS, own, training
from .world import PATIENCE, Manifest, World

pytestmark = pytest.mark.e2e

OUTPUT = {"volume": {"persistentVolumeClaim": {"claimName": "shared"}}}


@pytest.fixture
def finetune(installed: Installed, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finetune]:
    """The command in the test's namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    command = Finetune(kubeconfig(installed.cluster.kubeconfig, world.namespace, tmp_path / "kubeconfig"))
    command.env |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    yield command
    command.close()


def files_in(folder: Path, *left_out: str) -> dict[str, bytes]:
    """Relative path -> content, without some top folders."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and path.name != MARKER}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] not in left_out}


def readers(world: World) -> list[str]:
    """Pods that commands have made and that are left."""
    return [name for name in world.pod_names() if "-read-" in name]


def printing(name: str, script: str, **groups: object) -> Manifest:
    """A job whose nodes run a shell script."""
    return own(name, "sh", "-c", script, **groups)


@pytest.mark.timeout(600)
def test_from_submit_to_chat(finetune: Finetune, world: World):
    program = finetune.start("submit", write(training("talk")), "--plain")
    assert program.end() == 0, program.output
    assert f"step {STEPS}/{STEPS}" in program.output and "talk has succeeded" in program.output
    assert "Succeeded" in finetune.says("list") and "finished" in finetune.says("describe", "talk")
    logs = finetune.says("logs", "talk")
    assert "node 0 | " in logs and "node 1 | " in logs
    finetune.says("pull", "talk")
    assert files_in(Path("runs/talk"), ".finetune") == files_in(world.output("talk"), "checkpoints", ".finetune")
    assert set(files_in(Path("runs/talk/.finetune"))) == {"done.json", "attempts.jsonl"}
    assert finetune.says("chat", "talk", "--once", "Hello?", "--max-new-tokens", 5).strip()
    assert finetune.says("plot", "ftj/talk").strip() == "talk.png" and Path("talk.png").read_bytes().startswith(b"\x89PNG")
    world.until("the pods are gone", lambda: not readers(world))


@pytest.mark.timeout(600)
def test_suspend_and_resume(finetune: Finetune, world: World):
    finetune.says("submit", write(training("pause")), "--detach")
    world.until_step("pause", 5)
    assert "is suspended at step" in finetune.says("suspend", "pause")
    assert [pod for pod in world.pods("pause") if pod.status.phase == "Running"] == []
    finetune.says("resume", "pause")
    assert finetune.start("status", "pause", "--plain").end() == 0
    assert "resumed" in finetune.says("describe", "pause")


@pytest.mark.timeout(300)
def test_following_goes_on_into_the_next_attempt(finetune: Finetune, world: World):
    script = 'echo "try $FINETUNE_ATTEMPT of node $NODE_RANK"; sleep 5; [ "$FINETUNE_ATTEMPT" = 1 ]'
    world.apply(printing("again", script, runPolicy={"maxRestarts": 1}))
    world.until("pods of the job", lambda: world.pods("again"))
    program = finetune.start("logs", "again", "--follow")
    assert program.end() == 0, program.output
    told = [line for line in program.output.splitlines() if "try" in line]
    assert sorted(told) == [f"node {node} | try {number} of node {node}" for node in (0, 1) for number in (0, 1)]
    # Of one node at least: the pod of another may have been ended, and its log with it, when the first one failed.
    assert "try 0" in finetune.says("logs", "again", "--attempt", 0)


@pytest.mark.timeout(300)
def test_an_interrupted_pull_goes_on(finetune: Finetune, world: World):
    script = 'if [ "$NODE_RANK" = 0 ]; then head -c 400000000 /dev/urandom > "$FINETUNE_OUTPUT_DIR/big"; fi'
    world.apply(printing("big", script, output=OUTPUT))
    world.until_phase("big", "Succeeded")
    program = finetune.start("pull", "big")

    def parts() -> list[Path]:
        return [part for part in Path("runs/big").glob(".big.*.part") if part.stat().st_size]

    (part,) = eventually(parts, PATIENCE)
    program.signal(signal.SIGINT)
    assert program.end() == 130
    assert 0 < part.stat().st_size < 400_000_000
    world.until("the pod is gone", lambda: not readers(world))
    finetune.says("pull", "big")
    assert Path("runs/big/big").read_bytes() == (world.output("big") / "big").read_bytes()


@pytest.mark.timeout(300)
def test_bundle_with_logs_of_job_and_operator(finetune: Finetune, world: World):
    world.apply(printing("told", 'echo "it was me, token=abcdef123"; exit 64', nodes=1))
    world.until_phase("told", "Failed")
    name = finetune.says("debug", "bundle", "told").partition(":")[0]
    with tarfile.open(fileobj=io.BytesIO(Path(name).read_bytes())) as archive:
        files = {member: archive.extractfile(member).read().decode() for member in archive.getnames()}  # type: ignore[union-attr]
    logs = [text for path, text in files.items() if "/logs/" in path]
    assert len(logs) == 1 and "it was me" in logs[0] and "abcdef123" not in "".join(files.values())
    assert any("/operator/" in path and path.endswith(".log") and text for path, text in files.items())
