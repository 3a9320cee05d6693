"""The layouts of a sample: one small pure function each, from a row to turns (or, for text, to a text)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from finetune_api.spec import Columns
from finetune_trainer.data.rows import BadRowError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    text: str


_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
_OPENAI_ROLES = ("system", "user", "assistant")
_SHAREGPT_ROLES = ("system", "human", "user", "gpt", "assistant")


def alpaca(row: Mapping[str, Any], columns: Columns) -> list[Turn]:
    """instruction (+ input on a new line) -> output, after an optional system prompt and history of [question, answer] pairs."""
    instruction = _text(row, columns.instruction or "instruction")
    context = _optional_text(row, columns.input or "input")
    answer = _text(row, columns.output or "output")
    turns = _system(row, columns)
    name = columns.history or "history"
    history = row.get(name)
    if not isinstance(history, list | type(None)):
        raise BadRowError(f"{name} must be a list of [question, answer] pairs, not {_kind(history)}.")
    for number, pair in enumerate(history or []):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise BadRowError(f"{name}[{number}] must be a pair of texts: [question, answer].")
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    question = "\n".join(part for part in (instruction, context) if part)
    return check_conversation([*turns, Turn("user", question), Turn("assistant", answer)])


def sharegpt(row: Mapping[str, Any], columns: Columns) -> list[Turn]:
    """A list of {from: human | gpt | system, value: text}; user and assistant are known too; an optional column system."""
    listed = _messages(row, columns, "conversations", "from", "value", _SHAREGPT_ROLES)
    return check_conversation(_system(row, columns) + listed)


def openai(row: Mapping[str, Any], columns: Columns) -> list[Turn]:
    """A list of {role: user | assistant | system, content: text}."""
    return check_conversation(_messages(row, columns, "messages", "role", "content", _OPENAI_ROLES))


def text(row: Mapping[str, Any], columns: Columns) -> str:
    """One text."""
    value = _text(row, columns.text or "text")
    if not value.strip():
        raise BadRowError("the text is empty.", "Remove the row.")
    return value


#: spec.DataSource.format -> its function.
FORMATS: dict[str, Callable[[Mapping[str, Any], Columns], list[Turn] | str]] = {
    "alpaca": alpaca,
    "sharegpt": sharegpt,
    "openai": openai,
    "text": text,
}


def read_row(value: Any, format_: str, columns: Columns) -> list[Turn] | str:
    """The turns (or the text) of one row, whatever the file held there.

    Raises:
        BadRowError: in words, without the place.
    """
    if not isinstance(value, Mapping):
        raise BadRowError(f"a row must be an object with named columns, not {_kind(value)}.")
    return FORMATS[format_](value, columns)


def check_conversation(turns: list[Turn]) -> list[Turn]:
    """`turns`, if they are an optional system prompt, then question and answer in turn, none of them empty.

    Raises:
        BadRowError: saying which message is wrong.
    """
    talk = turns[1:] if turns and turns[0].role == "system" else turns
    if not talk:
        raise BadRowError("the conversation is empty.", "Remove the row.")
    first = len(turns) - len(talk)
    for number, turn in enumerate(talk):
        expected = "assistant" if number % 2 else "user"
        if turn.role != expected:
            raise BadRowError(
                f"roles out of order: message {first + number} is {turn.role}, expected {expected}.",
                "A conversation is an optional system message, then user and assistant in turn.",
            )
        if not turn.text.strip():
            raise BadRowError(
                f"message {first + number}, the {'answer' if number % 2 else 'question'}, is empty.", "Remove the row."
            )
    if len(talk) % 2:
        raise BadRowError("the conversation ends with a question that has no answer.", "Remove the last message, or the row.")
    return turns if first == 0 or turns[0].text.strip() else talk


def _messages(
    row: Mapping[str, Any], columns: Columns, list_name: str, role_name: str, text_name: str, roles: tuple[str, ...]
) -> list[Turn]:
    list_name, role_name = columns.messages or list_name, columns.role or role_name
    text_name = columns.content or text_name
    messages = _required(row, list_name)
    if not isinstance(messages, list):
        raise BadRowError(f"{list_name} must be a list of messages, not {_kind(messages)}.")
    turns = []
    for number, message in enumerate(messages):
        at = f"{list_name}[{number}]"
        if not isinstance(message, Mapping):
            raise BadRowError(f"{at} must be an object with {role_name} and {text_name}, not {_kind(message)}.")
        role = _text(message, role_name, at)
        if role not in roles:
            raise BadRowError(f"{at}: unknown role {role!r}.", f"Known roles: {', '.join(roles)}.")
        turns.append(Turn(_ROLES[role], _text(message, text_name, at)))
    return turns


def _system(row: Mapping[str, Any], columns: Columns) -> list[Turn]:
    prompt = _optional_text(row, columns.system or "system")
    return [Turn("system", prompt)] if prompt.strip() else []


def _required(row: Mapping[str, Any], name: str, at: str = "") -> Any:
    if name not in row:
        found = ", ".join(map(str, row)) or "none"
        raise BadRowError(
            f"{at + ': ' if at else ''}no column {name!r}; found: {found}.",
            "Say in dataset.sources[].columns which column holds it, or choose another format.",
        )
    return row[name]


def _text(row: Mapping[str, Any], name: str, at: str = "") -> str:
    value = _required(row, name, at)
    if not isinstance(value, str):
        raise BadRowError(f"{at + '.' if at else ''}{name} must be a text, not {_kind(value)}.")
    return value


def _optional_text(row: Mapping[str, Any], name: str) -> str:
    return "" if row.get(name) is None else _text(row, name)


def _kind(value: Any) -> str:
    kinds = {
        type(None): "null",
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true/false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), type(value).__name__)


def optional_columns(format_: str, columns: Columns) -> list[str]:
    """Names that were given for columns that a row may lack. If no row of a source has one of them, the name is wrong."""
    given = {"alpaca": (columns.input, columns.system, columns.history), "sharegpt": (columns.system,)}.get(format_, ())
    return [name for name in given if name]
