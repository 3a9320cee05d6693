"""`kubectl finetune describe` of jobs that really fail, on real nodes: each time it names the cause and the next step."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.eventually import eventually
from cluster_cli.finetune import Finetune, kubeconfig

from .conftest import Installed
from .jobs import own, put_inputs, training
from .world import Manifest, World, make_world

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

#: A process that the node is told to kill is found by this.
SLEEP = "86399.5"
GROW = "import time; x = bytearray(200_000_000); time.sleep(60)"
ONE_TRY = {"maxRestarts": 0}


def trained(name: str, **settings: object) -> Manifest:
    """A job for our trainer on one node."""
    manifest = training(name, runPolicy=ONE_TRY, training=settings)
    manifest["spec"]["distributed"]["nodes"] = 1
    return manifest


def with_a_bad_row() -> Manifest:
    """Its data lacks the answers."""
    manifest = trained("row")
    manifest["spec"]["dataset"]["sources"] = [{"uri": "pvc://shared/bad.jsonl", "format": "alpaca"}]
    return manifest


# Whether Kubernetes calls it OOMKilled is up to containerd, which can lose that event (its issue 8893).
#: Job -> phase in which it stays, what happened, the likely cause, the first thing to do.
FAILED: dict[str, tuple[Manifest, str, str, str, str]] = {
    "memory": (
        own(
            "memory", "python3", "-c", GROW,
            nodes=1, runPolicy=ONE_TRY, resources={"limits": {"memory": "64Mi"}, "sharedMemory": "16Mi"},
        ),
        "Failed",
        "exit code 137",
        "resources.limits.memory",
        "Raise resources.limits.memory",
    ),
    "row": (
        with_a_bad_row(),
        "Failed",
        "BadDataRow: exit code 64 (USER_ERROR)",
        "bad.jsonl",
        "Correct what the message names",
    ),
    "image": (
        own("image", "true", nodes=1, trainer={"image": "example.invalid/mistyped:1"}),
        "Pending",
        "0 of 1 nodes run",
        "The name or tag of the image is mistyped",
        "Check the image's name letter by letter: spec.trainer.image",
    ),
    "room": (
        own("room", "true", nodes=1, resources={"requests": {"memory": "900Ti"}}),
        "Pending",
        "0 of 1 nodes run",
        "No node has room for it",
        "Compare resources with what the nodes have left: kubectl describe nodes",
    ),
    # Adam divides 0 by 0 where there is no gradient yet: that of an adapter's first half, before its second half has moved.
    "nan": (
        trained("nan", extraArgs={"adam_epsilon": 0.0}),
        "Failed",
        "NonFiniteLoss: rank 0, exit code 64 (USER_ERROR)",
        "The loss became NaN or infinite",
        "a lower training.learningRate",
    ),
    "killed": (
        own("killed", "sleep", SLEEP, nodes=1, runPolicy=ONE_TRY),
        "Failed",
        "Killed: exit code 137",
        "Something outside of the training sent SIGKILL",
        "See whether the node was short of memory: kubectl describe node ",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def failed(installed: Installed, tiny_llama: Path) -> Iterator[World]:
    """All of them side by side, each at its end."""
    with make_world(installed.api, f"t-{uuid.uuid4().hex[:8]}", installed.cluster.shared) as world:
        put_inputs(world.shared, tiny_llama)
        (world.shared / "bad.jsonl").write_text('{"instruction": "no answer"}\n')
        for manifest, *_ in FAILED.values():
            world.apply(manifest)
        world.until_phase("killed", "Running")
        (pod,) = world.pods("killed")
        installed.cluster.node_exec(pod.spec.node_name, ["pkill", "-KILL", "-f", f"^sleep {SLEEP}"])
        for name, (_, phase, *_) in FAILED.items():
            world.until_phase(name, phase)
        yield world


@pytest.mark.parametrize("name", FAILED)
def test_cause_and_next_step(installed: Installed, failed: World, tmp_path: Path, name: str):
    finetune = Finetune(kubeconfig(installed.cluster.kubeconfig, failed.namespace, tmp_path / "kubeconfig"))
    _, phase, told, cause, step = FAILED[name]

    def says() -> str:
        text = finetune.says("describe", name)
        happened, _, rest = " ".join(text.split()).partition("Likely cause")
        likely, _, steps = rest.partition("What to do 1.")
        assert f"FineTuneJob {name} in namespace {failed.namespace}: {phase}" in happened and told in happened, text
        assert cause in likely and step in steps, text
        return text

    print(eventually(says, 60))
