"""The page of the documentation with every field of a job, in the words of `finetune explain`. finetune_api.crd writes it."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_api import immutable
from finetune_api.docs import choices, is_required, refusal, shown_default, type_in_words
from finetune_api.forms import WORDS
from finetune_api.json_schema import Schema, all_fields, bounds, children, flat_schema, job_schema
from finetune_api.rule import Rule
from finetune_api.rules import RULES
from finetune_api.spec import API_VERSION, KIND, MAX_NAME
from finetune_api.status import FineTuneJobStatus

#: Where the page is kept, in the repository.
FILE = "docs/fields.md"

_HEAD = """\
<!-- Generated from the models of finetune_api by `python -m finetune_api.crd`; do not edit. -->
# Every field

`apiVersion: {version}`, `kind: {kind}`, `metadata.name` (small letters, digits and `-`; at most {max_name} characters), and
below `spec` what follows here. `[]` stands for each entry of a list. `finetune explain spec.training.precision` prints the same
about one field, and `finetune validate job.yaml` checks a file against all of it. Once a job exists, only {changeable}
of `runPolicy` may change.
"""
_STATUS = """\
## Status

What the operator writes below `status`.

| field | what it is | meaning |
|---|---|---|"""


def markdown() -> str:
    """The page; the same on every run."""
    changeable = ", ".join(f"`{name}`" for name in immutable.changeable())
    head = _HEAD.format(version=API_VERSION, kind=KIND, max_name=MAX_NAME, changeable=changeable)
    groups = children(job_schema()["properties"]["spec"])
    status = [_row(path, _what(node), node.get("description", "")) for path, node in _below("", flat_schema(FineTuneJobStatus))]
    return "\n".join([head, *(line for name, node in groups.items() for line in _group(name, node)), _STATUS, *status, ""])


def _group(name: str, group: Schema) -> Iterator[str]:
    yield from (f"## {name}", "", group["description"], "", "| field | what it is | default | meaning |", "|---|---|---|---|")
    lists: dict[str, Schema] = {}
    twins: set[str] = set()
    for path, node in all_fields().items():
        if not path.startswith(f"spec.{name}.") or any(path.startswith(f"{twin}[].") for twin in twins):
            continue
        meaning = node["description"]
        if "items" in node and children(node):
            # A list whose entries are described already is not described again.
            if known := next((other for other, of in lists.items() if of["items"] == node["items"]), ""):
                twins.add(path)
                meaning += f" Its entries are those of {_short(known)}."
            lists[path] = node
        yield _row(_short(path), _what(node), "required" if is_required(path) else _code(shown_default(node)), meaning)
    refused = [line for rule in RULES for line in _refused(rule) if line.startswith((f"- `{name}.", f"- `{name}`"))]
    yield from ("", "Refused:", "", *refused, "") if refused else ("",)


def _below(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    for name, child in children(node).items():
        yield f"{path}{name}", child
        yield from _below(f"{path}{name}{'[]' if 'items' in child else ''}.", child)


def _refused(rule: Rule) -> Iterator[str]:
    """A line for the places of a rule; it begins with the field at which the problem is reported."""
    places = [f"{at}.{rule.reads[0]}".removesuffix(".") for at in rule.at]
    yield f"- {', '.join(f'`{_short(place)}`' for place in places)}: {_text(refusal(rule))}"


def _what(node: Schema) -> str:
    """Type, range and form, or the words that it may be."""
    entry = node.get("items", node)
    *most, last = [_code(word) for word in choices(node)] or [""]
    words = f"{', '.join(most)} or {last}" if most else last
    kind = f"{'list of ' if 'items' in node else ''}{words}" if words else type_in_words(node)
    form = WORDS.get(entry.get("pattern", ""), ("",))[0]
    return ", ".join(part for part in (kind, form, bounds(node)) if part)


def _short(path: str) -> str:
    return path.removeprefix("spec.")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _row(path: str, *cells: str) -> str:
    return f"| `{path}` | {' | '.join(_text(cell) for cell in cells)} |"


def _text(text: str) -> str:
    """Safe inside a table."""
    return text.replace("|", "\\|")
