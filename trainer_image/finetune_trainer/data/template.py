"""Where in a rendered conversation the assistant's turns are.

A chat template is a program: it may trim a message, drop earlier thinking, move the system prompt, add a default one. So turns are
not found by searching, nor by comparing the renderings of prefixes. The conversation is rendered a second time with a numbered mark
after the last visible character of each turn. When the two renderings are the same but for the marks, the marks say where each
turn's text ends; where an answer begins is known from what the template writes when it asks for one (its generation prompt).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_trainer.data.control import BREAK, MARK, ControlTokens
from finetune_trainer.data.formats import Turn
from finetune_trainer.data.rows import BadRowError

_WORD = re.compile(r"\S+")
_MARKS = re.compile(f"{MARK}([0-9]+){MARK}")
#: Where in a turn's visible text the mark may stand, as characters before its end. A template that looks at how a message
#: ends (for example endswith('</tool_response>')) renders another text when the mark is at the very end.
_ANCHORS: tuple[Callable[[int], int], ...] = (lambda _: 0, lambda _: 1, lambda length: length // 2)


@dataclass(frozen=True)
class Rendering:
    """A conversation as text.

    Attributes:
        text: what the model sees, control tokens by their private names (see control.py).
        answers: (start, end) in `text` of each assistant turn: all that the model has to write itself, but for the token that ends
            the turn. What the template itself writes there after its generation prompt (an empty <think> block) belongs to it.
    """

    text: str
    answers: list[tuple[int, int]]


class ChatTemplate:
    """The chat template that is on `tokenizer` (see choice.py).

    Args:
        control: the tokenizer's control tokens.
        allow_control_tokens: whether text that looks like a control token becomes one.
    """

    def __init__(self, tokenizer: Any, control: ControlTokens, *, allow_control_tokens: bool) -> None:
        self._tokenizer, self._control, self._allow = tokenizer, control, allow_control_tokens
        try:
            self._prompt = self._generation_prompt()
        except BadRowError:  # It cannot render a lone question; then answers begin with their words.
            self._prompt = ("", False)

    def render(self, turns: Sequence[Turn]) -> Rendering:
        """Render a conversation and find its assistant turns.

        Raises:
            BadRowError: when the template refuses the conversation, or does something with it that cannot be followed.
        """
        for turn in turns:
            self._control.check(turn.text)
        plain = self._apply([turn.text for turn in turns], turns)
        for anchor in _ANCHORS:
            found = self._ends(turns, plain, anchor)
            if found:
                text, ends = found
                break
        else:
            raise _untraceable()
        answers = []
        for number, turn in enumerate(turns):
            if turn.role == "assistant":
                answers.append((self._start(turns, number, plain, text, ends[number - 1]), ends[number][-1]))
        if any(start > end for start, end in answers):
            raise _untraceable()
        return Rendering(text, answers)

    def _apply(self, texts: Sequence[str], turns: Sequence[Turn], *, ask: bool = False) -> str:
        """The template's output for these texts in the roles of `turns`."""
        from jinja2.exceptions import TemplateError

        messages = [{"role": turn.role, "content": text} for turn, text in zip(turns, texts, strict=True)]
        try:
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
        except (
            TemplateError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
        ) as exc:  # A template is a program of the model's author.
            raise BadRowError(f"the chat template refuses this conversation: {exc}") from exc

    def _disarm(self, text: str) -> str:
        return text if self._allow else self._control.disarm(text)

    def _ends(self, turns: Sequence[Turn], plain: str, anchor: Callable[[int], int]) -> tuple[str, dict[int, list[int]]] | None:
        """The text with private names, and where each user and assistant turn (by index) ends in it, without and with the space at
        its end; None if that cannot be told.
        """
        visible = [turn.text.rstrip() for turn in turns]
        tails = [text[len(text) - anchor(len(text)) :] for text in visible]
        talk = [number for number, turn in enumerate(turns) if turn.role != "system"]
        marked = [self._disarm(turn.text) for turn in turns]
        for number in talk:
            head = visible[number].removesuffix(tails[number])
            marked[number] = self._disarm(head) + _mark(number) + self._disarm(turns[number].text[len(head) :])
        output = self._apply(marked, turns)
        if _unmarked(output) != plain:
            return None
        parts = _MARKS.split(self._control.name(output))  # text, number, text, number, ..., text
        if parts[1::2] != [str(number) for number in talk]:
            return None
        text, ends, at = "".join(parts[::2]), {}, 0
        if self._allow and text != self._control.name(plain):
            return None
        for number, part in zip(talk, parts[::2], strict=False):
            at += len(part)
            rest = self._control.name(self._disarm(tails[number]))
            if not text.startswith(rest, at):
                return None
            end = at + len(rest)
            space = turns[number].text[len(visible[number]) :]
            ends[number] = [end, end + len(space)] if text.startswith(space, end) else [end]
        return text, ends

    def _generation_prompt(self) -> tuple[str, bool]:
        """What stands between a question and the answer that is asked for, and whether the template does anything to ask for it."""
        question = [Turn("user", "x")]
        asked, told = (self._apply(["x" + _mark(0)], question, ask=ask) for ask in (True, False))
        return self._control.name(asked).rsplit(_mark(0), 1)[-1], asked != told

    def _start(self, turns: Sequence[Turn], number: int, plain: str, text: str, question_ends: list[int]) -> int:
        """Where the answer `number` begins in `text`: after the generation prompt if that stands there, else with its words."""
        prompt, asks = self._prompt
        after_prompt = next((end + len(prompt) for end in question_ends if text.startswith(prompt, end)), None)
        if asks and after_prompt is not None:
            return after_prompt
        words = self._content_start(turns, number, plain)
        # A template that does not ask may still write a name before an answer; that is not the model's to learn.
        return words if after_prompt is None or text[after_prompt:words].strip() else after_prompt

    def _content_start(self, turns: Sequence[Turn], number: int, plain: str) -> int:
        """Where the text of one turn begins, or what is left of it: templates remove a beginning (thinking), never a middle."""
        words = [match.start() for match in _WORD.finditer(turns[number].text)]

        def mark_before(word: int) -> int:
            """Where a mark before this word is in the text; -1 if it is not there."""
            texts = [self._disarm(turn.text) for turn in turns]
            text = turns[number].text
            texts[number] = self._disarm(text[:word]) + _mark(number) + self._disarm(text[word:])
            output = self._apply(texts, turns)
            return self._control.name(output).find(_mark(number)) if _unmarked(output) == plain else -1

        if (at := mark_before(words[0])) >= 0:
            return at
        first = bisect_left(words, True, lo=1, key=lambda word: mark_before(word) >= 0)
        if first == len(words):
            raise BadRowError(
                "the chat template leaves nothing of an answer.", "Remove the row, or set dataset.chatTemplate to another one."
            )
        return mark_before(words[first])


def _mark(number: int) -> str:
    return f"{MARK}{number}{MARK}"


def _unmarked(output: str) -> str:
    return _MARKS.sub("", output).replace(BREAK, "")


def _untraceable() -> BadRowError:
    return BadRowError(
        "the chat template changes the messages in a way that hides where each one ends, so loss cannot be put on answers only.",
        "Set dataset.chatTemplate to another one, or remove the row.",
    )
