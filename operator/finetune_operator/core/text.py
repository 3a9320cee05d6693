"""Texts that fit into the status: longer ones would be refused by the API server."""

from __future__ import annotations

_MESSAGE, _WORD = 4096, 253


def message(text: str) -> str:
    """A sentence or paragraph, cut where it is too long."""
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 4]} ..."


def word(text: str) -> str:
    """A name or reason."""
    return text[:_WORD]
