"""The page with every field is what the models say."""

from __future__ import annotations

from pathlib import Path

from finetune_api import field_page
from finetune_api.docs import refusal
from finetune_api.json_schema import all_fields
from finetune_api.rules import RULES

PAGE = Path(__file__).parents[2] / field_page.FILE


def test_no_drift():
    """make crd writes the page again."""
    assert PAGE.read_text() == field_page.markdown()


def test_every_field_and_every_rule_is_there():
    """Entries of evalSources are those of sources, and are described once."""
    text = PAGE.read_text()
    fields = [
        path.removeprefix("spec.") for path in all_fields() if "." in path and not path.startswith("spec.dataset.evalSources[]")
    ]
    groups = [path for path in fields if "." not in path]
    assert [group for group in groups if f"\n## {group}\n" not in text] == []
    assert [path for path in fields if path not in groups and f"\n| `{path}` | " not in text] == []
    assert [rule.name for rule in RULES if f": {refusal(rule)}\n" not in text] == []
