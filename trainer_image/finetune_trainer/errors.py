"""Errors that the person who wrote the job can act on."""

from __future__ import annotations

#: How a token for the hub is given.
SIGN_IN = "set HF_TOKEN (on a cluster: spec.model.tokenSecretRef)"


class UserError(Exception):
    """Bad spec, data, model or volume: a retry gives the same result (exit code USER_ERROR).

    Args:
        reason: CamelCase word for conditions and the termination message, e.g. BadDataRow, ModelNotFound, DiskFull.
        message: what is wrong, with the place (file and line, field, path).
        hint: what to do about it.
    """

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(reason, message, hint)  # All three, so that it survives pickling.
        self.reason, self.message, self.hint = reason, message, hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
