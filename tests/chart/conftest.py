"""The chart, rendered by Helm's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from helm_python import Chart
from syrupy.assertion import SnapshotAssertion

from chart.rendered import CHART, Render
from golden import Manifests


@pytest.fixture(scope="session")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def render(chart: Chart) -> Render:
    def rendered(**values: Any) -> list[dict[str, Any]]:
        files = chart.render(values, name="finetune-operator", namespace="finetune-system")
        texts = [files[name] for name in sorted(files) if name.endswith(".yaml")]
        return [document for text in texts for document in yaml.safe_load_all(text) if document]

    return rendered


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Equal to a sequence of manifests if they are as in __snapshots__."""
    return snapshot.use_extension(Manifests)
