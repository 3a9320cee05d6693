"""Tokenizers in which one word is one token, so that a person can count; and chat templates like those of well-known models.

Spaces vanish, a line break is a token, and so are "<|" and "|>": the text <|im_end|> is three tokens, the control token is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

CONTROL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)

#: Like SmolLM2: a system prompt of its own when there is none.
SMOL = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
be kind<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

#: Like Llama 3: trims, and writes begin-of-text itself.
LLAMA3 = """{{- bos_token }}{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""

#: Like Qwen3: takes the thinking out of all answers before the last question, and always writes a thinking block after it.
QWEN3 = """{%- set ns = namespace(last=0) -%}
{%- for message in messages -%}{%- if message.role == 'user' and not (message.content.startswith('<tool_response>')
 and message.content.endswith('</tool_response>')) -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for message in messages -%}
{%- if message.role != 'assistant' -%}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' -}}
{%- else -%}
{%- set content = message.content -%}{%- set thinking = '' -%}
{%- if '</think>' in content -%}
{%- set thinking = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') -%}
{%- set content = content.split('</think>')[-1].lstrip('\n') -%}
{%- endif -%}
{%- if loop.index0 > ns.last and (loop.last or thinking) -%}
{{- '<|im_start|>assistant\n<think>\n' + thinking.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') -}}
{%- else -%}
{{- '<|im_start|>assistant\n' + content -}}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""

#: Like Mistral: no generation prompt, and the system prompt stands before the LAST question: no prefix renders to a prefix.
MISTRAL = """{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- '[INST] ' + (messages[0].content + '\n' if loop.last or (loop.index0 == messages | length - 2) and messages[0].role == 'system'
 else '') + message.content + ' [/INST]' -}}
{%- elif message.role == 'assistant' -%}
{{- ' ' + message.content + eos_token -}}
{%- endif -%}
{%- endfor -%}"""

#: Like DeepSeek R1: opens the thinking when it asks for an answer, and takes all thinking out of given answers.
R1 = """{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
{{- '<|start_header_id|>assistant<|end_header_id|>' + message.content.split('</think>')[-1] + '<|eot_id|>' -}}
{%- else -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>' + message.content + '<|eot_id|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|><think>\n' -}}{%- endif -%}"""


def word_tokenizer(
    words: Iterable[str],
    template: str | None,
    eos: str | None = "<|im_end|>",
    bos: str | None = None,
    control: Iterable[str] = CONTROL,
) -> Any:
    """A transformers tokenizer that knows these words; with `bos` it puts that token before a text by itself."""
    from transformers import PreTrainedTokenizerFast

    listed = ["<unk>", "\n", "<|", "|>", "system", "user", "assistant", *(token.strip("<|>") for token in CONTROL), *words]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(listed))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(" +"), "removed"), pre_tokenizers.Split(Regex(r"\n|<\||\|>"), "isolated")]
    )
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in ("<think>", "</think>")])
    if bos:
        backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, backend.token_to_id(bos))])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token=eos, bos_token=bos)
    if template:
        tokenizer.chat_template = template
    return tokenizer
