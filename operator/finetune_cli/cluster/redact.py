"""Takes secrets out of what is handed to others. Pure.

Values of environment variables go unless they are known to be harmless; in any text, what looks like a credential goes too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from finetune_api.contract import RESERVED_ENV, RESERVED_ENV_PREFIXES

REDACTED = "<redacted>"

#: Variables that say how libraries behave, and hold no secrets.
_HARMLESS_ENV = frozenset({"HOME", "HF_HOME", "PYTHONUNBUFFERED", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM"})
_HARMLESS_PREFIXES = (*RESERVED_ENV_PREFIXES, "NCCL_", "TORCH_", "CUDA_", "GLOO_")
#: Parts of an object's metadata that repeat its fields elsewhere, and are of no use.
_NOISE = ("managedFields", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_SECRET_WORD = r"(?:token|passw(?:or)?d|secret|api[_-]?key|access[_-]?key|credential)s?"  # noqa: S105
_PATTERNS = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL, REDACTED),
        (r"\bhf_[A-Za-z0-9]{8,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", 0, REDACTED),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", 0, REDACTED),
        (r"(://)[^/\s:@]+:[^/\s@]+@", 0, rf"\1{REDACTED}@"),
        (r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE, rf"\1 {REDACTED}"),
        # NAME=value, "name": "value", --name value; names such as tokenSecretRef and token_ids are none.
        (
            rf"(\b[\w.-]*{_SECRET_WORD}[\"']?\s*[=:]\s*[\"']?)(?!\s|[{{\[<]|(?:\d+|true|false|null|none)\b)[^\s\"',;]+",
            re.IGNORECASE,
            rf"\1{REDACTED}",
        ),
        (rf"(--[\w-]*{_SECRET_WORD}\s+)[^\s-]\S*", re.IGNORECASE, rf"\1{REDACTED}"),
    )
)


def text(words: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in _PATTERNS:
        words = pattern.sub(replacement, words)
    return words


def manifest(value: Any) -> Any:
    """An object as the API server has it, without values of variables, without credentials in texts, and without noise."""
    if isinstance(value, Mapping):
        return {key: _field(key, part) for key, part in value.items() if key not in _NOISE and key != _LAST_APPLIED}
    if isinstance(value, list):
        return _words(value) if all(isinstance(part, str) for part in value) else [manifest(part) for part in value]
    return text(value) if isinstance(value, str) else value


def _field(key: str, value: Any) -> Any:
    if key in ("env", "envFrom") and isinstance(value, list):
        return [_variable(variable) for variable in value]
    return manifest(value)


def _words(words: list[str]) -> list[str]:
    """The words of a command: a secret may be the one after its option."""
    cleaned = [text(word) for word in words]
    option = re.compile(rf"--?[\w-]*{_SECRET_WORD}", re.IGNORECASE)
    return [
        REDACTED if number and option.fullmatch(words[number - 1]) and not word.startswith("-") else word
        for number, word in enumerate(cleaned)
    ]


def _variable(variable: Any) -> Any:
    """Name, and where the value comes from; the value itself only if it is known to be harmless."""
    if not isinstance(variable, Mapping) or "value" not in variable:
        return variable
    name = str(variable.get("name", ""))
    harmless = name in RESERVED_ENV or name in _HARMLESS_ENV or name.startswith(_HARMLESS_PREFIXES)
    return {**variable, "value": text(str(variable["value"])) if harmless else REDACTED}
