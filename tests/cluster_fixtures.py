"""Fixtures of the tests that need Kubernetes' API: a control plane without nodes, and a namespace of their own on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.api import Api
from cluster.binaries import CONTROL_PLANE, binaries
from cluster.control_plane import ControlPlane
from cluster.kubelet import Kubelet
from cluster.lacks import Lacking
from cluster.namespaces import create_namespace, delete_namespace
from unavailable import unavailable

CRDS = Path(__file__).parents[1] / "crds"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the programs before the first test: the first time that takes minutes, and a test's fixtures have its time limit."""
    needed = any("control_plane" in getattr(item, "fixturenames", ()) for item in session.items)
    if needed and not session.config.option.collectonly:
        with suppress(Lacking):  # The fixture says so.
            binaries(names=CONTROL_PLANE)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, API server and controllers, once for the session, with the project's CRD.

    What the machine lacks is a skip with the reason; in CI a failure.
    """
    try:
        folder = binaries(names=CONTROL_PLANE)
        with ControlPlane(folder, tmp_path_factory.mktemp("control-plane"), crds=CRDS) as plane:
            yield plane
    except Lacking as lacking:
        unavailable(lacking)


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    """The control plane's API for a user who may do everything."""
    return control_plane.api


@pytest.fixture
def namespace(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test alone, with restricted Pod Security."""
    name = create_namespace(api, request.node.name)
    yield name
    delete_namespace(api, name)


@pytest.fixture
def kubelet(control_plane: ControlPlane, namespace: str) -> Kubelet:
    """Plays the kubelet for the pods of the test's namespace; in the audit log it is the user `kubelet`."""
    return Kubelet(Api(control_plane.kubeconfig_for("kubelet")), namespace)
