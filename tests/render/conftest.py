from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from golden import Manifests


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Equal to a sequence of manifests if they are as in __snapshots__."""
    return snapshot.use_extension(Manifests)
