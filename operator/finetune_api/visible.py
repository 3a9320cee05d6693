"""Texts that come from elsewhere, as they may be printed."""

from __future__ import annotations


def visible(text: str) -> str:
    """`text` without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text)
