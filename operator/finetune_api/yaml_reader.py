"""YAML as kubectl reads it, with the line of every value.

kubectl turns YAML into JSON with sigs.k8s.io/yaml (a fork of go-yaml v2): 2e-4 and 5e8 are numbers, yes/no/on/off and y/n are
booleans, 010 and 0o10 are octal, dates and 12:30 stay text, 1.0 becomes the integer 1, keys become text. PyYAML differs in each of
these, so plain scalars are resolved here. Beyond kubectl, duplicate keys and unknown tags are refused, and size and aliases are
bounded.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import yaml

from finetune_api.problems import Problem, dotted

#: The API server refuses larger objects.
MAX_BYTES = 1_500_000
#: Values of one document after its aliases are expanded; a bomb of nested aliases ends here.
MAX_VALUES = 100_000
MAX_DEPTH = 64

Keys = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_PLAIN = "!plain"
_SCALAR_TAGS = {_PLAIN, *(f"{_TAG}{name}" for name in ("int", "float", "bool", "null"))}
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"], False),
}
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_64_BIT = range(-(2**63), 2**64)


class YamlError(Exception):
    """The text is not YAML that kubectl would take."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """One document of a file.

    Attributes:
        data: plain data: dict with text keys, list, str, bool, int, float or None.
        lines: path of keys and indices -> line, from 1; the line of a key where there is one.
    """

    data: Any
    lines: dict[Keys, int]


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars unresolved: they get the tag `_PLAIN`."""

    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))], "": [(_PLAIN, re.compile(""))]}


def read_documents(text: str) -> list[Document]:
    """All non-empty documents of a YAML (or JSON) text.

    Raises:
        YamlError: at the first thing that cannot be read, with line and column.
    """
    if len(text.encode()) > MAX_BYTES:
        raise YamlError(Problem("", f"the file is larger than {MAX_BYTES} bytes, the most that a cluster takes."))
    documents = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and (node.tag != _PLAIN or node.value):
                documents.append(_Builder().document(node))
    except yaml.MarkedYAMLError as error:
        raise YamlError(_syntax_problem(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(Problem("", f"not YAML: the character U+{error.character:04X} is not allowed.", line=line)) from None
    except RecursionError:
        raise YamlError(Problem("", f"nested deeper than {MAX_DEPTH} levels.")) from None
    return documents


def read_value(text: str) -> Any:
    """One value as it stands behind `--set PATH=`: 20, 2e-4, true, text, or a whole object as JSON.

    Raises:
        YamlError: the text is not YAML.
    """
    documents = read_documents(text)
    return documents[0].data if documents else None


@functools.lru_cache(maxsize=4096)
def is_plain_text(text: str) -> bool:
    """Whether this stays text when it is written without quotes."""
    return text not in _WORDS and text != "<<" and not _NOT_JSON.fullmatch(text) and isinstance(_plain(text), str)


class _Builder:
    """Turns the nodes of one document into plain data."""

    def __init__(self) -> None:
        self._count = 0
        self._lines: dict[Keys, int] = {}

    def document(self, node: yaml.Node) -> Document:
        data = self._value(node, ())
        return Document(data, self._lines)

    def _value(self, node: yaml.Node, keys: Keys) -> Any:
        self._count += 1
        self._lines.setdefault(keys, _line(node))
        if self._count > MAX_VALUES:
            raise YamlError(Problem("", f"more than {MAX_VALUES} values; are aliases (*name) nested in each other?"))
        if len(keys) > MAX_DEPTH:
            raise YamlError(_problem(node, keys[:3], f"nested deeper than {MAX_DEPTH} levels."))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*keys, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        return _scalar(node, keys)

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = {**self._merged(value_node, keys), **merged}
                continue
            key = _key(key_node, keys)
            if key in own:
                first = self._lines[*keys, key]
                raise YamlError(_problem(key_node, (*keys, key), f"given twice, first in line {first}.", "Keep one of them."))
            self._lines[*keys, key] = _line(key_node)
            own[key] = self._value(value_node, (*keys, key))
        return {**merged, **own}

    def _merged(self, node: yaml.Node, keys: Keys) -> dict[str, Any]:
        """The entries that `<<: *name` brings in; of several the first wins."""
        values = [self._value(item, keys) for item in (node.value if isinstance(node, yaml.SequenceNode) else [node])]
        if not all(isinstance(value, dict) for value in values):
            raise YamlError(_problem(node, keys, "<< merges mappings only."))
        return {key: value for part in reversed(values) for key, value in part.items()}


def _key(node: yaml.Node, keys: Keys) -> str:
    """A mapping's key as text, as in JSON: 7 -> "7", on -> "true"."""
    if not isinstance(node, yaml.ScalarNode):
        raise YamlError(_problem(node, keys, "a key must be plain text.", "Is a quote or a space after a colon missing?"))
    value = _scalar(node, keys)
    if value is None:
        raise YamlError(_problem(node, keys, "a key is empty.", "Put a name before the colon."))
    return value if isinstance(value, str) else str(value).lower()


def _scalar(node: yaml.Node, keys: Keys) -> Any:
    text: str = node.value
    if node.tag == f"{_TAG}str":
        return text
    if node.tag not in _SCALAR_TAGS:
        raise YamlError(_problem(node, keys, f"the tag {node.tag.replace(_TAG, '!!')} means nothing here.", "Leave it out."))
    if _NOT_JSON.fullmatch(text):
        raise YamlError(_problem(node, keys, f"{text} is not a number that JSON has.", "Write a finite number."))
    value = _plain(text)
    if node.tag != _PLAIN and isinstance(value, str):
        raise YamlError(_problem(node, keys, f"{text!r} is not a {node.tag.removeprefix(_TAG)}.", "Leave the !! tag out."))
    return value


def _plain(text: str) -> Any:
    """A scalar without quotes -> what kubectl makes of it (.inf and .nan aside, which JSON does not have)."""
    if text in _WORDS:
        return _WORDS[text]
    # Digits may be grouped with _; go-yaml drops them wherever they are, after a first character that can start a number.
    digits = text.replace("_", "") if text[0] in "+-.0123456789" else text
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(digits):
            number = int(digits.lower().replace("0o", "0", 1) if base == 8 else digits, base)
            return number if number in _64_BIT else _finite(float(number), text)
    if _FLOAT.fullmatch(digits):
        return _finite(float(digits), text)
    return text


def _finite(number: float, text: str) -> int | float | str:
    """JSON has one kind of number: 1.0 is written as 1. What does not fit into a double stays text."""
    if number in (float("inf"), float("-inf")):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _problem(node: yaml.Node, keys: Keys, message: str, hint: str = "") -> Problem:
    return Problem(dotted(keys), message, hint, _line(node))


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    """PyYAML's error in one line, with the hints for the two mistakes that are most often made."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    column = f" in column {mark.column + 1}" if mark else ""
    what = (error.problem or error.context or "syntax error").replace("'\\t'", "TAB")
    hint = ""
    if "TAB" in what:
        hint = "Indent with spaces."
    elif "mapping values are not allowed" in what:
        hint = "Put text that holds ': ' in quotes, and check the indentation."
    return Problem("", f"not YAML: {what}{column}.", hint, line)
