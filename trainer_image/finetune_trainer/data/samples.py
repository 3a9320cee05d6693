"""From the turns (or the text) of a row to tokens, and which of them carry loss."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from finetune_api.spec import Dataset
from finetune_trainer.data.choice import adds_bos
from finetune_trainer.data.control import ControlTokens, Encoding
from finetune_trainer.data.formats import Turn
from finetune_trainer.data.template import ChatTemplate, Rendering
from finetune_trainer.errors import UserError

#: What became of a row: kept as it is; oldest turns dropped; end of the last answer cut off; split into several samples (texts
#: only); dropped because the last question leaves no room for an answer; dropped because no token would carry loss.
Fate = Literal["whole", "turns_cut", "answer_cut", "chunked", "too_long", "nothing_trained"]


@dataclass(frozen=True)
class Sample:
    """Tokens of one sample: ids int32[n], and trained bool[n] (the first is never trained: nothing predicts it)."""

    ids: NDArray[np.int32]
    trained: NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """What became of one row."""

    fate: Fate
    samples: list[Sample] = field(default_factory=list)


class RowEncoder(Protocol):
    """Turns what formats.read_row gives into samples; raises rows.BadRowError."""

    def __call__(self, rows: Sequence[Any]) -> list[Outcome]: ...


class ChatEncoder:
    """Conversations to samples of at most max_length tokens.

    A conversation that is too long loses its oldest question-answer pairs, never the system prompt or the last question. If the
    last pair alone is too long, its answer loses its end, and with it the end-of-turn token: the model is not taught to stop there.
    """

    def __init__(self, tokenizer: Any, control: ControlTokens, dataset: Dataset, *, train_all: bool) -> None:
        self._control, self._max_length = control, dataset.max_length
        self._all, self._end_of_turn = train_all, dataset.train_end_of_turn
        self._template = ChatTemplate(tokenizer, control, allow_control_tokens=dataset.allow_control_tokens)

    def __call__(self, rows: Sequence[list[Turn]]) -> list[Outcome]:
        """One outcome per conversation.

        Raises:
            BadRowError
        """
        renderings = [self._template.render(turns) for turns in rows]
        encodings = self._control.encode([rendering.text for rendering in renderings])
        return [
            self._outcome("whole", rendering, encoding) if self._fits(encoding) else self._shorten(turns, rendering, encoding)
            for turns, rendering, encoding in zip(rows, renderings, encodings, strict=True)
        ]

    def _outcome(self, fate: Fate, rendering: Rendering, encoding: Encoding) -> Outcome:
        length = min(len(encoding.ids), self._max_length)
        if self._all:
            trained = np.ones(length, dtype=np.bool_)
        else:
            trained = answer_tokens(rendering, encoding, end_of_turn=self._end_of_turn)[:length]
        trained[:1] = False
        if not trained.any():
            return Outcome("nothing_trained")
        return Outcome(fate, [Sample(encoding.ids[:length], trained)])

    def _fits(self, encoding: Encoding) -> bool:
        return len(encoding.ids) <= self._max_length

    def _shorten(self, turns: list[Turn], rendering: Rendering, encoding: Encoding) -> Outcome:
        first = 1 if turns[0].role == "system" else 0
        pairs = (len(turns) - first) // 2

        def without(dropped: int) -> tuple[Rendering, Encoding]:
            """The conversation without its oldest pairs."""
            rest = self._template.render(turns[:first] + turns[first + 2 * dropped :])
            return rest, self._control.encode([rest.text])[0]

        if pairs > 1:
            fewest = bisect_left(range(pairs - 1), True, lo=1, key=lambda dropped: self._fits(without(dropped)[1]))
            rendering, encoding = without(fewest)
            if self._fits(encoding):
                return self._outcome("turns_cut", rendering, encoding)
        answer_start, _ = rendering.answers[-1]
        if int(np.searchsorted(_ends(encoding), answer_start, side="right")) >= self._max_length:
            return Outcome("too_long")
        return self._outcome("answer_cut", rendering, encoding)


def answer_tokens(rendering: Rendering, encoding: Encoding, *, end_of_turn: bool) -> NDArray[np.bool_]:
    """Which tokens are the assistant's: all that touch an answer, and (end_of_turn) the control token that follows it, if any.

    Between an answer and its end-of-turn token there may only be space; it is trained too, since the model has to write it.
    """
    starts, ends = encoding.spans[:, 0], _ends(encoding)
    trained = np.zeros(len(encoding.ids), dtype=np.bool_)
    controls = np.flatnonzero(encoding.control)
    for start, end in rendering.answers:
        trained |= (ends > start) & (starts < end)
        following = controls[np.searchsorted(ends[controls], end, side="right") :][:1]
        if end_of_turn and following.size and not rendering.text[end : starts[following[0]]].strip():
            first = int(np.searchsorted(ends, end, side="right"))
            trained[first : following[0] + 1] = True
    return trained


def _ends(encoding: Encoding) -> NDArray[np.int64]:
    """Where each token ends; one that covers no character (a space that was put before a word) counts with the next character."""
    return np.maximum(encoding.spans[:, 1], encoding.spans[:, 0] + 1)


class TextEncoder:
    """Texts to samples: the text and the end-of-text token, all trained; a begin-of-text token first, if the tokenizer puts one.

    A text longer than max_length is split, not cut. Each piece begins with the last token of the one before, so that every token
    is predicted exactly once.
    """

    def __init__(self, tokenizer: Any, control: ControlTokens, dataset: Dataset) -> None:
        if tokenizer.eos_token_id is None:
            raise UserError(
                "NoEndOfText", "The tokenizer has no end-of-text token (eos_token), which format: text needs after each text."
            )
        self._control, self._max_length, self._allow = control, dataset.max_length, dataset.allow_control_tokens
        self._before = [tokenizer.bos_token_id] if adds_bos(tokenizer) else []
        self._after = [tokenizer.eos_token_id]

    def __call__(self, rows: Sequence[str]) -> list[Outcome]:
        """One outcome per text.

        Raises:
            BadRowError
        """
        for text in rows:
            self._control.check(text)
        encodings = self._control.encode([self._control.name(text) if self._allow else text for text in rows])
        return [self._outcome(np.array([*self._before, *encoding.ids, *self._after], dtype=np.int32)) for encoding in encodings]

    def _outcome(self, ids: NDArray[np.int32]) -> Outcome:
        step = self._max_length - 1
        pieces = [ids[at : at + self._max_length] for at in range(0, len(ids) - 1, step)]
        if not pieces:
            return Outcome("nothing_trained")
        return Outcome("whole" if len(pieces) == 1 else "chunked", [Sample(piece, np.arange(len(piece)) > 0) for piece in pieces])
