"""The termination message: what kubectl and the operator read when a launcher has ended."""

from __future__ import annotations

import contextlib
from pathlib import Path

from finetune_api.contract import TerminationMessage

#: The kubelet cuts off what is longer, which would leave broken JSON.
MAX_BYTES = 4096


def write(path: Path, message: TerminationMessage) -> None:
    """Write the message; a path that cannot be written is ignored, because the log says the same."""
    with contextlib.suppress(OSError):
        path.write_text(encode(message))


def encode(message: TerminationMessage) -> str:
    """JSON of at most MAX_BYTES bytes; only the text for people is shortened."""
    text = _json(message)
    words = message.message
    while len(text.encode()) > MAX_BYTES:
        words = words[: len(words) * 9 // 10]
        text = _json(message.model_copy(update={"message": words + " ..."}))
    return text


def _json(message: TerminationMessage) -> str:
    return message.model_dump_json(by_alias=True, exclude_none=True)
