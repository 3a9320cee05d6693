"""Control tokens and the text of users: the one must never become the other.

Rendered conversations are encoded by a private copy of the tokenizer in which every control token has a name that no text can
contain. The template's own control tokens are written with these names, so what is left in a message, for example "<|im_end|>",
is ordinary text to the copy. Everything around is encoded as the tokenizer itself would do it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from finetune_trainer.data.rows import BadRowError
from finetune_trainer.errors import UserError

#: Unicode noncharacters: legal in a Python string, never in text that is meant for interchange.
_OPEN, _CLOSE, BREAK, MARK = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_RESERVED = re.compile(f"[{_OPEN}-{MARK}]")


@dataclass(frozen=True)
class Encoding:
    """Tokens of one text.

    Attributes:
        ids: int32[n], the tokenizer's own ids.
        spans: int64[n, 2], the characters that each token covers.
        control: bool[n], which of them are control tokens (an unknown word is not, whatever its id).
    """

    ids: NDArray[np.int32]
    spans: NDArray[np.int64]
    control: NDArray[np.bool_]


class ControlTokens:
    """The control tokens of one tokenizer, and the encoder that keeps them apart from text.

    Args:
        tokenizer: a transformers tokenizer with a `tokenizers` backend.

    Raises:
        UserError: SlowTokenizer, for a tokenizer without that backend.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(
                "SlowTokenizer", f"{type(tokenizer).__name__} has no fast version (tokenizer.json).", "Convert the tokenizer."
            )
        backend = tokenizer.backend_tokenizer
        # A control token of a single character cannot be told from text.
        specials = {
            token.content: number
            for number, token in backend.get_added_tokens_decoder().items()
            if token.special and len(token.content) > 1
        }
        self._unknown = tokenizer.unk_token_id
        self._names = {content: f"{_OPEN}{number}{_CLOSE}" for content, number in specials.items()}
        # Longest first, as the tokenizer matches; an empty alternation would match everywhere.
        alternatives = "|".join(re.escape(content) for content in sorted(specials, key=len, reverse=True)) or "(?!)"
        self._pattern = re.compile(alternatives)
        self._starts = re.compile(f"(?=(?:{alternatives}))(.)", re.DOTALL)
        self._encoder, self._ids = _private_copy(backend, self._names)
        self._is_control = np.zeros(len(self._ids), dtype=np.bool_)
        self._is_control[list(specials.values())] = True

    def check(self, text: str) -> None:
        """Refuse what no tokenizer can encode, and the characters that are reserved here.

        Raises:
            BadRowError
        """
        if text.isascii():
            return
        if found := _RESERVED.search(text):
            raise BadRowError(f"the text contains the noncharacter U+{ord(found[0]):04X}.", "Remove it.")
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise BadRowError(f"the text contains half of a surrogate pair, U+{ord(text[exc.start]):04X}.", "Remove it.") from None

    def disarm(self, text: str) -> str:
        """`text` with a BREAK inside all that looks like a control token, so that `name` leaves it alone."""
        return self._starts.sub(rf"\1{BREAK}", text)

    def name(self, text: str) -> str:
        """`text` with every control token written by its private name, and without BREAKs."""
        return self._pattern.sub(lambda match: self._names[match[0]], text).replace(BREAK, "")

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Encode texts that went through `name` (or that are to contain no control tokens at all)."""
        found = self._encoder.encode_batch(list(texts), add_special_tokens=False)
        return [self._encoding(text, encoded) for text, encoded in zip(texts, found, strict=True)]

    def _encoding(self, text: str, encoded: Any) -> Encoding:
        ids = self._ids[np.asarray(encoded.ids, dtype=np.int64)]
        spans = np.asarray(encoded.offsets, dtype=np.int64).reshape(-1, 2)
        control = self._is_control[ids]
        for at in np.flatnonzero(control):
            if _OPEN not in text[spans[at, 0] : spans[at, 1]]:
                control[at] = False
                if ids[at] != self._unknown:
                    raise BadRowError(
                        "the text spells a control token, and this tokenizer cannot encode that as ordinary text.",
                        "Remove it from the text, or set dataset.allowControlTokens: true.",
                    )
        return Encoding(ids, spans, control)


def _private_copy(backend: Tokenizer, names: dict[str, str]) -> tuple[Tokenizer, NDArray[np.int32]]:
    """A copy of `backend` that knows control tokens only by `names`, and the table from its ids to the ids of `backend`."""
    state = json.loads(backend.to_str())
    # A post-processor would trim the offsets; padding and truncation are not wanted here.
    state |= {"post_processor": None, "padding": None, "truncation": None}
    for token in state["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    copy = Tokenizer.from_str(json.dumps(state))
    size = 1 + max(*copy.get_vocab().values(), *backend.get_vocab().values())
    table = np.arange(size, dtype=np.int32)
    for token in state["added_tokens"]:
        table[copy.token_to_id(token["content"])] = token["id"]
    return copy, table
