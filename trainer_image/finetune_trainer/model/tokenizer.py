"""Load a model's tokenizer, and know which tokens end its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune_trainer.errors import UserError
from finetune_trainer.prepared import LocalModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = "zqx"


def load_tokenizer(local: LocalModel, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in `local`; for a GGUF file the one inside it (about 5 s, and it needs torch: see gguf.materialise_gguf).

    Raises:
        UserError: TokenizerUnreadable.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            local.folder, gguf_file=local.gguf_file, trust_remote_code=trust_remote_code, local_files_only=True
        )
    except (ValueError, OSError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise UserError(
            "TokenizerUnreadable",
            f"The tokenizer in {local.folder} cannot be loaded: {_first_line(error)}",
            "The folder needs tokenizer.json (or the model's own vocabulary files) and tokenizer_config.json.",
        ) from error


def stop_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: eos, and the control token that the chat template puts after an assistant's turn."""
    ids = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": _PROBE}, {"role": "assistant", "content": _PROBE}]
        after = tokenizer.apply_chat_template(turns, tokenize=False).rpartition(_PROBE)[2]
        first = tokenizer(after, add_special_tokens=False)["input_ids"][:1]
        ids += [i for i in first if i in tokenizer.added_tokens_decoder and i not in ids]
    return ids


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
