"""Names that people bring along from elsewhere."""

from __future__ import annotations

import pytest

from finetune_api.json_schema import all_fields
from finetune_api.known_names import FOREIGN, meant
from finetune_api.problems import snake_case


def test_foreign_names_lead_to_fields():
    assert set(FOREIGN.values()) <= set(all_fields())
    assert [name for name in FOREIGN if name != snake_case(name)] == []


@pytest.mark.parametrize(
    ("parent", "key", "field"),
    [
        (("spec", "output"), "paths", "spec.output.path"),
        (("spec",), "path", "spec.dataset.sources[].uri"),
        (("spec", "trainer"), "args", "spec.trainer.command"),
        (("spec", "resources"), "gpu", "spec.resources.limits"),
        (("spec", "resources"), "shmSize", "spec.resources.sharedMemory"),
        (("spec",), "ttl_seconds_after_finished", "spec.runPolicy.ttlSecondsAfterFinished"),
        (("spec", "podTemplate"), "tolerations", "spec.podTemplate.spec.tolerations"),
        (("spec", "podTemplate", "spec", "containers", 0), "volume_mounts", "spec.podTemplate.spec.containers[].volumeMounts"),
        (("spec",), "volumeMounts", "spec.podTemplate.spec.containers[].volumeMounts"),
    ],
)
def test_what_was_meant(parent: tuple[str | int, ...], key: str, field: str):
    assert meant(parent, key) == [field]
