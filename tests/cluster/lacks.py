"""What a machine must have before a cluster can be made on it."""

from __future__ import annotations


class Lacking(Exception):
    """This machine lacks something that only its owner can change. The message is one line: what, and what to do."""
