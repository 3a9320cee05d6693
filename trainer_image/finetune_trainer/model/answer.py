"""Let a model answer a conversation, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from finetune_trainer.errors import UserError
from finetune_trainer.model.tokenizer import stop_token_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    import torch
    from transformers import GenerationConfig, TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc, unused-ignore]
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            emit(text)

    inputs = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True)
    length = inputs["input_ids"].shape[1]
    room = model.config.get_text_config().max_position_embeddings - length
    if room <= 0:
        raise UserError("ContextFull", f"The conversation has {length} tokens, more than the model's context.", "Start a new one.")
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
    streamer = Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    with torch.inference_mode():
        output = model.generate(**inputs.to(model.device), generation_config=settings, streamer=streamer)
    return str(tokenizer.decode(output[0, length:], skip_special_tokens=True))
