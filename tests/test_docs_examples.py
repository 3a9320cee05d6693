"""Every YAML example of the documentation is right: whole jobs, and parts that are added to the page's first job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune_api.load import load_job
from finetune_api.spec import FineTuneJobSpec

ROOT = Path(__file__).parent.parent
PARTS = {field.alias or name for name, field in FineTuneJobSpec.model_fields.items()}


def _examples() -> list[Any]:
    found = []
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("examples/**/*.md")]):
        text, first = page.read_text(), None
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            document = yaml.safe_load(match[1])
            if "kind" in document:
                if document["kind"] != "FineTuneJob":
                    continue
                first = first or document
            elif first is not None and document.keys() <= PARTS:
                document = {**first, "spec": _merged(first["spec"], document)}
            else:
                continue
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(document, id=f"{page.name}:{line}"))
    return found


def _merged(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A group that a part names takes the place of the job's; training is added to."""
    return base | {name: base.get(name, {}) | group if name == "training" else group for name, group in part.items()}


@pytest.mark.parametrize("document", _examples())
def test_an_example_is_a_valid_job(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(document))
    assert load_job(tmp_path / "job.yaml").metadata.name == document["metadata"]["name"]


def test_the_guides_commands_have_examples() -> None:
    """The search for examples has found them: most commands of the page are followed by one."""
    page = [example.id for example in _examples() if example.id.startswith("from-llamafactory.md")]
    assert len(page) == (ROOT / "docs/from-llamafactory.md").read_text().count("```yaml") > 10
