"""Fields that the documentation names in its text exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_api.crd import custom_resource_definition
from finetune_api.json_schema import Schema, node_at

ROOT = Path(__file__).parent.parent
#: Not from-kubeflow.md, which names the fields of others as well.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted(ROOT.glob("docs/*.md")) if page.name not in ("fields.md", "from-kubeflow.md")),
]
(VERSION,) = custom_resource_definition()["spec"]["versions"]
JOB: Schema = VERSION["schema"]["openAPIV3Schema"]
GROUPS = JOB["properties"]["spec"]["properties"]
FILES = (".py", ".md", ".json", ".safetensors")
#: The example of a field that could be added.
EXAMPLE = "spec.training.labelSmoothing"


def _named(page: Path) -> Iterator[str]:
    """Paths that begin with a group of the spec, with spec, or with status."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([A-Za-z]+(?:\.[A-Za-z]+(?:\[\])?)+)(?:[ :=][^`]*)?`", text):
        head = span.partition(".")[0]
        if span.endswith(FILES):
            continue
        if head in GROUPS:
            yield f"spec.{span}"
        elif head in ("spec", "status"):
            yield span


def _is_there(path: str) -> bool:
    keys = path.replace("[]", ".[]").split(".")
    return node_at([0 if key == "[]" else key for key in keys], JOB) is not None


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_fields_that_are_named_exist(page: Path):
    assert sorted(path for path in {*_named(page)} - {EXAMPLE} if not _is_there(path)) == []


def test_they_are_found():
    assert len({path for page in PAGES for path in _named(page)}) > 40
