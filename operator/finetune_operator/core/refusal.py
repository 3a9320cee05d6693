"""Why a job cannot start as it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

RefusalReason = Literal[
    "InvalidSpec",
    "SecretNotFound",
    "ServiceAccountToken",
    "ConfigMapNotFound",
    "ClaimNotFound",
    "ClaimNotShareable",
    "OutputInUse",
]


class Refusal(NamedTuple):
    """A word for programs; for people what is wrong and what to do."""

    reason: RefusalReason
    message: str
