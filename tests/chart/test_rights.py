"""The rights that the chart gives the operator are those that it uses, by the audit log of a real API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import pytest

from chart.life import AUDIT_POLICY, Installed, Missed, Right, a_job, inputs, live, namespaces, without
from chart.rendered import Render
from cluster.binaries import CONTROL_PLANE, binaries
from cluster.control_plane import ControlPlane
from cluster.kubelet import Kubelet
from cluster.lacks import Lacking
from unavailable import unavailable

#: Each right, and what would be missing without it.
NEEDED = {
    ("get", "finetunejobs"): "a status that met a later version is decided again",
    ("list", "finetunejobs"): "jobs from before the operator's start, and those whose events were lost",
    ("watch", "finetunejobs"): "new and changed jobs",
    ("delete", "finetunejobs"): "runPolicy.ttlSecondsAfterFinished",
    ("patch", "finetunejobs/status"): "where a job stands",
    ("update", "finetunejobs/finalizers"): "children that block the deletion of their job, where the API server asks for it",
    ("get", "jobs"): "whether an attempt of that name is the job's own or somebody else's",
    ("list", "jobs"): "attempts from before the operator's start; none is running twice",
    ("watch", "jobs"): "the end of an attempt",
    ("create", "jobs"): "an attempt",
    ("patch", "jobs"): "suspension, and the nudge after a failure",
    ("delete", "jobs"): "old attempts",
    ("list", "pods"): "pods from before the operator's start",
    ("watch", "pods"): "which rank failed, and of what; node 0's address",
    ("get", "services"): "whether the Service of that name is the job's own or somebody else's",
    ("create", "services"): "rank 0's name in DNS",
    ("get", "configmaps"): "configmap:// data and own configurations exist",
    ("create", "configmaps"): "the resolved job",
    ("get", "secrets"): "the token that a job names exists, and is no service account's; its type only",
    ("get", "persistentvolumeclaims"): "the claims that a job names exist, and more than one node may write to its output",
    ("list", "events"): "why a volume does not mount",
    ("create", "events"): "what kubectl describe tells of a job",
    ("list", "nodes"): "a node could be large enough for the job",
    ("get", "leases"): "which replica works",
    ("create", "leases"): "the Lease of the first start",
    ("patch", "leases"): "the working replica's hold on it",
}
#: Not a request of its own: the API server asks it of whoever creates an object with an owner.
ASKED_OF_OTHERS = ("update", "finetunejobs/finalizers")
CHILDREN = {("create", "services"), ("create", "configmaps"), ("create", "jobs")}
#: Removed in every run of the tests; the others by `make test-rights`.
REMOVED_ALWAYS = {ASKED_OF_OTHERS, ("patch", "jobs")}

Install = Callable[..., Installed]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without the project's CRD, which the chart brings."""
    try:
        programs = binaries(names=CONTROL_PLANE)
    except Lacking as lacking:
        unavailable(lacking)
    plane = ControlPlane(programs, tmp_path_factory.mktemp("plane"), admission=["OwnerReferencesPermissionEnforcement"])
    plane.audit.policy.write_text(AUDIT_POLICY)
    with plane:
        yield plane


@pytest.fixture
def team(plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test alone."""
    with namespaces(plane, "team") as (name,):
        yield name


@pytest.fixture
def install(plane: ControlPlane, team: str, tmp_path: Path, render: Render) -> Iterator[Install]:
    """Installs the chart with the values given, but for `withheld`, rights that its roles then lack."""
    made: list[Installed] = []

    def install(withheld: Set[Right] = frozenset(), **values: Any) -> Installed:
        made.append(Installed(plane, without(render(**values), withheld), team, tmp_path / "operator.log"))
        return made[0]

    yield install
    for each in made:
        each.remove()


def test_nothing_too_much_and_nothing_too_little(install: Install):
    """The operator is one of several replicas."""
    here = install(replicas=2)
    live(here)
    assert here.granted == NEEDED.keys()
    assert here.used() == here.granted - {ASKED_OF_OTHERS}
    assert here.refused() == set()


@pytest.mark.parametrize(
    "right",
    [pytest.param(right, id=" ".join(right), marks=() if right in REMOVED_ALWAYS else pytest.mark.rights) for right in NEEDED],
)
def test_each_right_is_missed(install: Install, right: Right):
    """Without it the test above is red: the operator is refused just that on its way through the life of a job."""
    here = install({right}, replicas=2)
    with pytest.raises(Missed) as missed:
        live(here)
    assert missed.value.rights <= (CHILDREN if right == ASKED_OF_OTHERS else {right})


def test_an_operator_of_some_namespaces_sees_no_others(plane: ControlPlane, install: Install, team: str):
    """All that is outside of them is nodes: it asks for these once, and does without."""
    with namespaces(plane, "other") as (other,):
        here = install(watchNamespaces=[team])
        for namespace in (other, team):
            for manifest in inputs(namespace):
                here.api.create(manifest)
            here.api.create(a_job(namespace))
        Kubelet(here.api, team).wait_for_pods(1, seconds=20)
        assert here.api.list("ClusterRoleBinding") and not here.bound_in_the_cluster()
        unusual = [request for request in here.requests() if request[2] != team or request[3] == 403]
        assert unusual == [("list", "nodes", "", 403)]
        assert here.api.list("Job", other) == []
