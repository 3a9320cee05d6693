"""Every YAML example of the documentation is right: whole jobs, parts of one, and other objects of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from finetune_api.load import load_job
from finetune_api.rule_check import rule_problems
from finetune_api.spec import FineTuneJobSpec

ROOT = Path(__file__).parent.parent
PARTS = {field.alias or name for name, field in FineTuneJobSpec.model_fields.items()}
#: Parts are added to the first job that their page has, or to this one.
PLAIN = {
    "apiVersion": "finetune.dev/v1alpha1",
    "kind": "FineTuneJob",
    "metadata": {"name": "plain"},
    "spec": {"model": {"source": "hf://a/b"}, "dataset": {"sources": [{"uri": "hf://a/b", "format": "alpaca"}]}},
}


def _documents() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Place of each block of YAML, what is in it, and the first job of its page."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("examples/**/*.md")]):
        text = page.read_text()
        found = [
            (match.start(), yaml.safe_load(match[1]))
            for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        ]
        first = next((document for _, document in found if document.get("kind") == "FineTuneJob"), PLAIN)
        for start, document in found:
            yield f"{page.name}:{text.count(chr(10), 0, start) + 1}", document, first


def _jobs() -> list[Any]:
    found = []
    for place, document, first in _documents():
        if document.get("kind") == "FineTuneJob":
            found.append(pytest.param(document, id=place))
        elif "kind" not in document and document.keys() <= PARTS:
            found.append(pytest.param({**first, "spec": _merged(first["spec"], document)}, id=place))
    return found


def _merged(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A group that a part names takes the place of the job's; training is added to."""
    return base | {name: base.get(name, {}) | group if name == "training" else group for name, group in part.items()}


@pytest.mark.parametrize("document", _jobs())
def test_an_example_is_a_valid_job(document: dict[str, Any], tmp_path: Path) -> None:
    """One that says where its results go is one for a cluster as well."""
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(document))
    job = load_job(tmp_path / "job.yaml")
    assert job.metadata.name == document["metadata"]["name"]
    if job.spec.output.volume is not None:
        assert [str(problem) for problem in rule_problems(job, cluster=True)] == []


def test_the_guides_commands_have_examples() -> None:
    """The search for examples has found them: most commands of the page are followed by one."""
    page = [example.id for example in _jobs() if example.id.startswith("from-llamafactory.md")]
    assert len(page) == (ROOT / "docs/from-llamafactory.md").read_text().count("```yaml") > 10


OTHERS = [pytest.param(each, id=place) for place, each, _ in _documents() if each.get("kind", "FineTuneJob") != "FineTuneJob"]


@pytest.mark.parametrize("document", OTHERS)
def test_kubernetes_knows_the_fields_of_other_objects(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.37", strict=True)
