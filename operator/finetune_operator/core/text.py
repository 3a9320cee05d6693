"""Texts that fit into the status: longer ones would be refused by the API server, and some come from pods that anybody has made."""

from __future__ import annotations

from finetune_api.visible import visible

_MESSAGE, _WORD = 4096, 253


def message(text: str) -> str:
    """A sentence or paragraph, cut where it is too long."""
    text = visible(text)
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 4]} ..."


def word(text: str) -> str:
    """A name or reason."""
    return visible(text)[:_WORD]
