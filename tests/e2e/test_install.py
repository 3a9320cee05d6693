"""The chart's life while jobs run: upgrade, uninstall, install again, two releases side by side, a leader that is killed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from kubernetes import config

import cluster
from cluster import chart
from cluster.command import CommandError
from trained import nothing_lost_or_done_twice, steps
from unavailable import unavailable

from .jobs import KILL_A_RANK, SAMPLES, SAVE_STEPS, own, put_inputs, training
from .release import CHART, CRD, Release, put_back
from .world import Manifest, World, make_world

pytestmark = [pytest.mark.e2e, pytest.mark.install, pytest.mark.timeout(900)]

#: Of a job that is still under way when helm has done its work.
LONG_EPOCHS = 8
LONG_STEPS = SAMPLES * LONG_EPOCHS // 2
#: Of what a release has, but for the CustomResourceDefinition.
KINDS = "deployment,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding"


@pytest.fixture(scope="module")
def made() -> cluster.Cluster:
    try:
        return cluster.up()
    except cluster.Lacking as lacking:
        unavailable(lacking)


@pytest.fixture(scope="module")
def removed(made: cluster.Cluster) -> Iterator[Release]:
    """The release that the other tests have, removed while these run."""
    release = Release(made, "finetune-operator", chart.NAMESPACE)
    with put_back(release):
        yield release


@pytest.fixture
def release(removed: Release) -> Iterator[Release]:
    """The release, not installed yet."""
    yield removed
    removed.uninstall()


@pytest.fixture
def second(made: cluster.Cluster) -> Iterator[Release]:
    """Another release in another namespace, not installed yet."""
    another = Release(made, "second-finetune-operator", f"second-{uuid.uuid4().hex[:8]}")
    yield another
    another.uninstall()
    another.kubectl("delete", "namespace", another.namespace, "--ignore-not-found")


@pytest.fixture
def new_world(removed: Release, made: cluster.Cluster, tiny_llama: Path) -> Iterator[Callable[[], World]]:
    """Makes a namespace of its own, with the tiny model and its data on the volume."""
    api = config.new_client_from_config(str(made.kubeconfig))
    with ExitStack() as worlds:

        def new() -> World:
            world = worlds.enter_context(make_world(api, f"t-{uuid.uuid4().hex[:8]}", made.shared))
            put_inputs(world.shared, tiny_llama)
            return world

        yield new


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    return new_world()


def long(name: str) -> Manifest:
    return training(name, training={"numTrainEpochs": LONG_EPOCHS})


def uids(world: World, name: str) -> set[str]:
    return {pod.metadata.uid for pod in world.pods(name)}


def exactly_once(output: Path) -> None:
    nothing_lost_or_done_twice(output, total_steps=LONG_STEPS, epochs=LONG_EPOCHS, samples=SAMPLES)


def later_chart(folder: Path) -> Path:
    """The chart as a later version might be: with another field and another column in the CustomResourceDefinition."""
    shutil.copytree(CHART, folder)
    file = folder / "files" / f"{CRD}.yaml"
    crd = yaml.safe_load(file.read_text())
    (version,) = crd["spec"]["versions"]
    version["additionalPrinterColumns"].append({"name": "Output", "type": "string", "jsonPath": ".status.output"})
    policy = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["runPolicy"]
    policy["properties"]["note"] = {"type": "string", "description": "Why it is run.", "maxLength": 100}
    file.write_text(yaml.safe_dump(crd))
    return folder


def test_an_upgrade_leaves_training_alone(release: Release, world: World, tmp_path: Path) -> None:
    release.upgrade()
    world.apply(long("through"))
    world.until_step("through", SAVE_STEPS)
    pods, (operator,) = uids(world, "through"), release.operators()
    assert len(pods) == 2 and len({pod.spec.node_name for pod in world.pods("through")}) == 2
    release.upgrade(folder=later_chart(tmp_path / "later"), progressSeconds=1)
    assert world.status("through")["phase"] == "Running"
    assert [each.metadata.uid for each in release.operators()] != [operator.metadata.uid]
    assert "OUTPUT" in release.kubectl("get", "ftj", "--namespace", world.namespace)
    assert "Why it is run." in release.kubectl("explain", "finetunejob.spec.runPolicy.note")
    status = world.until_phase("through", "Succeeded")
    assert (status["restarts"], status["attempt"], uids(world, "through")) == (0, 0, pods)
    assert world.attempts("through") == ["through-0"]
    exactly_once(world.output("through"))


def test_an_upgrade_with_a_wrong_value_changes_nothing(release: Release) -> None:
    release.upgrade()
    (operator,) = release.operators()
    with pytest.raises(CommandError, match="at '/replicas': minimum: got 0, want 1"):
        release.upgrade(replicas=0)
    assert [each.metadata.uid for each in release.operators()] == [operator.metadata.uid]
    (revision,) = yaml.safe_load(release.helm("history", release.name, "--output", "yaml"))
    assert revision["status"] == "deployed"


def test_an_uninstall_leaves_jobs_and_the_next_install_takes_them_over(release: Release, world: World) -> None:
    release.upgrade()
    for job in (training("short"), long("long")):
        world.apply(job)
    for name in ("short", "long"):
        world.until_step(name, SAVE_STEPS)
    pods = uids(world, "short") | uids(world, "long")

    assert CRD in release.uninstall()
    left = release.kubectl("get", KINDS, "--all-namespaces", "--selector", f"app.kubernetes.io/instance={release.name}")
    assert left == ""
    world.until("short ended", lambda: all(pod.status.phase == "Succeeded" for pod in world.pods("short")))
    world.until_step("long", len(steps(world.output("long"))) + SAVE_STEPS)
    world.apply(own("late", "true", nodes=1))
    assert uids(world, "short") | uids(world, "long") == pods
    assert {name: world.status(name).get("phase") for name in ("short", "long")} == {"short": "Running", "long": "Running"}
    assert (world.output("short") / "adapter_model.safetensors").exists()
    assert "Bound" in release.kubectl("get", "pvc", "shared", "--namespace", world.namespace)

    release.upgrade()
    assert "Running" in {pod.status.phase for pod in world.pods("long")}
    for name in ("short", "long"):
        status = world.until_phase(name, "Succeeded")
        assert (status["restarts"], status["attempt"]) == (0, 0)
    world.until_phase("late", "Succeeded")
    assert uids(world, "short") | uids(world, "long") == pods
    exactly_once(world.output("long"))


def test_two_releases_serve_their_own_namespaces(release: Release, second: Release, new_world: Callable[[], World]) -> None:
    ours, theirs, nobodys = (new_world() for _ in range(3))
    release.upgrade(watchNamespaces=[ours.namespace])
    with pytest.raises(CommandError, match=r'CustomResourceDefinition "finetunejobs.finetune.dev".*invalid ownership metadata'):
        second.upgrade(watchNamespaces=[theirs.namespace])
    values = {"watchNamespaces": [theirs.namespace], "crd": {"install": False}, "rbac": {"aggregate": False}}
    second.upgrade(**values)
    for world in (ours, theirs, nobodys):
        world.apply(own("first", "true", nodes=1))
    for world in (ours, theirs):
        world.until_phase("first", "Succeeded")

    second.uninstall()
    for world in (ours, theirs, nobodys):
        world.apply(own("next", "true", nodes=1))
    ours.until_phase("next", "Succeeded")
    assert [theirs.status("next"), nobodys.status("first"), nobodys.status("next")] == [{}, {}, {}]
    second.upgrade(**values)
    theirs.until_phase("next", "Succeeded")


def test_the_other_replica_takes_over_from_a_killed_leader(release: Release, world: World) -> None:
    release.upgrade(replicas=2)

    def replicas() -> tuple[str, str] | None:
        """The one that works and the one that waits, once the pods from before the upgrade have gone."""
        leader, names = release.leader(), {pod.metadata.name for pod in release.operators()}
        return (leader, *(names - {leader})) if len(names) == 2 and leader in names else None

    first, other = world.until("one of two works", replicas)
    world.apply(long("led"))
    world.until_step("led", SAVE_STEPS + 1)

    def taken_over() -> bool:
        """The kubelet starts the killed one again, soon for the first time, and it may then go on with its own Lease."""
        release.kill(first)
        return release.leader() != first

    release.kill(first)
    (_, pod) = sorted(world.pods("led"), key=lambda pod: pod.metadata.name)
    world.execute(pod.metadata.name, "python", "-c", KILL_A_RANK)
    world.until("the other works", taken_over)
    assert release.leader() == other
    assert "completionTime" not in world.status("led"), "the job has ended before anybody took over"
    status = world.until_phase("led", "Succeeded")
    assert (status["restarts"], status["attempt"]) == (1, 1)
    assert world.attempts("led") == ["led-0", "led-1"]
    ranks = [pod.metadata.name.rpartition("-")[0] for pod in world.pods("led")]
    assert sorted(ranks)[-2:] == ["led-1-0", "led-1-1"] and len(ranks) == len(set(ranks))
    exactly_once(world.output("led"))
