"""Let a model answer a conversation, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from finetune_trainer.errors import UserError
from finetune_trainer.model.tokenizer import stop_token_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextStreamer

#: {"role": system | user | assistant, "content": text}
Message = dict[str, str]


def answer(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    max_new_tokens: int = 512,
    temperature: float = 0.0,
    emit: Callable[[str], None] = lambda _: None,
) -> str:
    """The model's next turn, without control tokens.

    Args:
        temperature: 0 takes the most likely token each time, so the answer is always the same.
        emit: takes the text piece by piece as it is made.

    Raises:
        UserError: ContextFull, when the conversation is as long as the model's context already.
    """
    from transformers import TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc, unused-ignore]
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            emit(text)

    ids = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=True)["input_ids"]
    streamer = Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    return complete(model, tokenizer, ids, max_new_tokens, temperature, streamer)


def complete(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    streamer: TextStreamer | None = None,
) -> str:
    """What the model writes after the tokens `ids`, until it ends its turn; the rest as `answer`."""
    import torch
    from transformers import GenerationConfig

    room = model.config.get_text_config().max_position_embeddings - len(ids)
    if room <= 0:
        text = f"The conversation has {len(ids)} tokens, more than the model's context."
        raise UserError("ContextFull", text, "Start a new one.")
    own = model.generation_config.eos_token_id
    stops = {*stop_token_ids(tokenizer), *(own if isinstance(own, list) else [own] if own is not None else [])}
    settings = GenerationConfig(
        max_new_tokens=min(max_new_tokens, room),
        do_sample=temperature > 0,
        temperature=temperature if temperature > 0 else None,
        eos_token_id=sorted(stops) or None,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        use_cache=True,
    )
    prompt = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        output = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=settings, streamer=streamer
        )
    return str(tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True))


def speaking_dtype() -> str:
    """torch's name of the type in which a model answers here: the shortest that the GPU computes with, float32 without one."""
    import torch

    return "float32" if not torch.cuda.is_available() else "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
