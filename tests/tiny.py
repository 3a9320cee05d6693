"""Tiny random models and a small trained tokenizer, made in a second or two and saved in Hugging Face layout."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VOCAB_SIZE = 512

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_TEXT = """
The user asks a question and the assistant answers it. What does os.path.join do? It joins one or more path components and
returns the result, with exactly one separator following each part that is not empty. A system message says how to answer.
Return the number of items in the container. Raise an error if the value is not found. The function takes a list of strings,
an optional integer and a dictionary, and returns a new object. If the file does not exist it is created; otherwise the text
is written to the end. Paris is the capital of France, Rome of Italy, Berlin of Germany. One two three four five six seven.
Training a model on many small examples makes the loss fall; the learning rate rises first and then goes down to zero.
"""


@cache
def _trained() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT.splitlines(), trainer)
    return str(tokenizer.to_str())


def make_tokenizer(folder: Path, chat_template: str | None = CHAT_TEMPLATE) -> Path:
    """Save a byte-level BPE tokenizer of 512 tokens (any text round-trips) with a chatml template; eos is `<|im_end|>` (id 2)."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(_trained()), eos_token=END, pad_token=PAD)
    if chat_template:
        tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    return folder


def make_config(family: str = "llama", **overrides: Any) -> Any:
    """A config with 2 layers and hidden size 64; llama (untied output head), qwen3 (tied), gemma3 (tied, sliding window 8) or
    qwen3_moe (untied, two of four experts for each token)."""
    from transformers import Gemma3TextConfig, LlamaConfig, Qwen3Config, Qwen3MoeConfig

    settings: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "tie_word_embeddings": family in ("qwen3", "gemma3"),
    }
    if family == "gemma3":
        settings |= {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
    if family == "qwen3_moe":
        settings |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
    families = {"qwen3_moe": Qwen3MoeConfig, "llama": LlamaConfig, "qwen3": Qwen3Config, "gemma3": Gemma3TextConfig}
    return families[family](**(settings | overrides))


def make_model(folder: Path, family: str = "llama", seed: int = 0, **config_overrides: Any) -> Path:
    """Save a random float32 model of `family` (see make_config) with its tokenizer to `folder`; about 0.16 M parameters."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(make_config(family, **config_overrides))
    model.save_pretrained(folder)
    return make_tokenizer(folder)


def make_gguf(folder: Path, name: str = "tiny-F32.gguf", seed: int = 0, **config_overrides: Any) -> Path:
    """Save the llama of make_model, with its tokenizer, as one unquantized GGUF file in `folder`; returns the file."""
    import json
    import tempfile

    import gguf
    from safetensors.numpy import load_file

    config = make_config("llama", **config_overrides)
    with tempfile.TemporaryDirectory() as plain:
        weights = load_file(make_model(Path(plain), seed=seed, **config_overrides) / "model.safetensors")
        vocabulary = json.loads((Path(plain) / "tokenizer.json").read_text())["model"]
    folder.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(folder / name, "llama")
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    tokens = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in (PAD, START, END) else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(merge) for merge in vocabulary["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for hf_name, data in weights.items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(hf_name.split(".")[-2])
        if heads:  # llama.cpp keeps the two halves of a rotated head interleaved.
            data = data.reshape(heads, 2, -1, config.hidden_size).swapaxes(1, 2).reshape(data.shape)
        writer.add_tensor(names.get_name(hf_name.removesuffix(".weight")) + ".weight", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / name
