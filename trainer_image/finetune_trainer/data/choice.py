"""Which chat template is used: the tokenizer's own, or one of ours."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from finetune_trainer.errors import UserError


@dataclass(frozen=True)
class _Named:
    """A template of ours: the tokens it needs, and the one that ends a turn (None: the tokenizer's eos)."""

    tokens: tuple[str, ...]
    end_of_turn: str | None

    def missing(self, tokenizer: Any) -> list[str]:
        """What the tokenizer lacks for it."""
        known = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        lacking = [token for token in self.tokens if token not in known]
        return lacking if self.end_of_turn or tokenizer.eos_token else ["an end-of-text token (eos_token)"]


_NAMED = {
    "chatml": _Named(("<|im_start|>", "<|im_end|>"), "<|im_end|>"),
    "llama3": _Named(("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>"),
    "plain": _Named((), None),
}


def apply_template_choice(tokenizer: Any, choice: str) -> None:
    """Put the chosen template on `tokenizer`, so that it is saved with it and used for training and chat alike.

    With a named template the tokenizer's eos becomes the token that ends a turn: generation has to stop there. The template
    writes a begin-of-text token if the tokenizer itself puts one before a text.

    Args:
        tokenizer: a transformers tokenizer; changed in place.
        choice: spec.Dataset.chat_template.

    Raises:
        UserError: MissingControlTokens.
    """
    if choice == "model":
        return
    named = _NAMED[choice]
    if lacking := named.missing(tokenizer):
        raise UserError(
            "MissingControlTokens",
            f"dataset.chatTemplate {choice} needs {', '.join(lacking)}, which this tokenizer does not have as a control token.",
            "Write dataset.chatTemplate: model, or plain.",
        )
    text = (files("finetune_trainer.data") / "templates" / f"{choice}.jinja").read_text().rstrip("\n")
    begins = adds_bos(tokenizer) and tokenizer.bos_token not in named.tokens
    tokenizer.chat_template = ("{{- bos_token -}}\n" if begins else "") + text
    if named.end_of_turn:
        tokenizer.eos_token = named.end_of_turn


def require_chat_template(tokenizer: Any) -> None:
    """Refuse a tokenizer that has no chat template.

    Raises:
        UserError: NoChatTemplate, with those of ours that fit.
    """
    if tokenizer.chat_template:
        return
    usable = [name for name, named in _NAMED.items() if not named.missing(tokenizer)]
    raise UserError(
        "NoChatTemplate",
        "The tokenizer brings no chat template, and dataset.chatTemplate is model.",
        f"Write dataset.chatTemplate: {' or '.join(usable)}." if usable else "Use a model with a chat template, or format: text.",
    )


def adds_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts its begin-of-text token before a text."""
    return tokenizer.bos_token_id is not None and tokenizer.backend_tokenizer.encode("").ids[:1] == [tokenizer.bos_token_id]
