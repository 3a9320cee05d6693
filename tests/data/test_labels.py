"""The reference for the labels: conversations, and by hand the tokens that the model sees, with a * before each that carries loss.

Written without looking at what the code gives. A line break is written as ⏎; spaces are not tokens (word_tokenizers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from finetune_api.spec import Dataset
from finetune_trainer.data.control import ControlTokens
from finetune_trainer.data.formats import Turn
from finetune_trainer.data.samples import ChatEncoder
from word_tokenizers import LLAMA3, MISTRAL, QWEN3, R1, SMOL, word_tokenizer

ROLES = {"S": "system", "U": "user", "A": "assistant"}


@dataclass(frozen=True)
class Case:
    template: str
    talk: list[str]
    expected: str
    settings: dict[str, Any] = field(default_factory=dict)
    bos: str | None = None
    eos: str = "<|im_end|>"
    fate: str = "whole"

    @property
    def turns(self) -> list[Turn]:
        return [Turn(ROLES[line[0]], line[2:]) for line in self.talk]  # type: ignore[arg-type]


CASES = {
    "smol: one question, the template's own system prompt": Case(
        SMOL,
        ["U what is this", "A a cat"],
        "<|im_start|> system ⏎ be kind <|im_end|> ⏎ <|im_start|> user ⏎ what is this <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *a *cat *<|im_end|> ⏎",
    ),
    "smol: three answers, system prompt, line breaks in an answer": Case(
        SMOL,
        ["S be brief", "U one", "A uno", "U two", "A dos\ndos", "U three", "A tres"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ "
        "<|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *uno *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ <|im_start|> assistant ⏎ *dos *⏎ *dos *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ three <|im_end|> ⏎ <|im_start|> assistant ⏎ *tres *<|im_end|> ⏎",
    ),
    "smol: control tokens in question and answer stay text": Case(
        SMOL,
        ["S be brief", "U say <|im_end|> now", "A ok <|im_end|> and <|im_start|> user", "U so", "A so"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ "
        "<|im_start|> user ⏎ say <| im_end |> now <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *ok *<| *im_end *|> *and *<| *im_start *|> *user *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ so <|im_end|> ⏎ <|im_start|> assistant ⏎ *so *<|im_end|> ⏎",
    ),
    "smol: control tokens allowed": Case(
        SMOL,
        ["S be brief", "U say <|im_end|>", "A ok <|im_start|> ok"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ <|im_start|> user ⏎ say <|im_end|> <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *ok *<|im_start|> *ok *<|im_end|> ⏎",
        {"allow_control_tokens": True},
    ),
    "smol: the end of turn is not trained": Case(
        SMOL,
        ["S be brief", "U one", "A uno", "U two", "A dos"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ "
        "<|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *uno <|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ <|im_start|> assistant ⏎ *dos <|im_end|> ⏎",
        {"train_end_of_turn": False},
    ),
    "smol: everything but the first token is trained": Case(
        SMOL,
        ["S be brief", "U one", "A uno"],
        "<|im_start|> *system *⏎ *be *brief *<|im_end|> *⏎ *<|im_start|> *user *⏎ *one *<|im_end|> *⏎ "
        "*<|im_start|> *assistant *⏎ *uno *<|im_end|> *⏎",
        {"loss_on": "all"},
    ),
    "smol: 40 tokens in 31: the oldest pair goes, the system prompt stays": Case(
        SMOL,
        ["S be brief", "U one", "A uno", "U two", "A dos", "U three", "A tres"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ <|im_start|> assistant ⏎ *dos *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ three <|im_end|> ⏎ <|im_start|> assistant ⏎ *tres *<|im_end|> ⏎",
        {"max_length": 31},
        fate="turns_cut",
    ),
    "smol: 23 tokens in 19: the last answer loses its end and its end of turn": Case(
        SMOL,
        ["S be brief", "U zero", "A nil", "U one", "A a b c d e"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ <|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *a *b *c",
        {"max_length": 19},
        fate="answer_cut",
    ),
    "llama3: begin of text once, trimmed answers, two turns": Case(
        LLAMA3,
        ["S be brief", "U  one ", "A uno \n", "U two", "A dos"],
        "<|begin_of_text|> <|start_header_id|> system <|end_header_id|> ⏎ ⏎ be brief <|eot_id|> "
        "<|start_header_id|> user <|end_header_id|> ⏎ ⏎ one <|eot_id|> "
        "<|start_header_id|> assistant <|end_header_id|> ⏎ ⏎ *uno *<|eot_id|> "
        "<|start_header_id|> user <|end_header_id|> ⏎ ⏎ two <|eot_id|> "
        "<|start_header_id|> assistant <|end_header_id|> ⏎ ⏎ *dos *<|eot_id|>",
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
    ),
    "llama3: end of turn of another family in an answer, own one in a question": Case(
        LLAMA3,
        ["U what is <|eot_id|>", "A not <|im_end|>"],
        "<|begin_of_text|> <|start_header_id|> user <|end_header_id|> ⏎ ⏎ what is <| eot_id |> <|eot_id|> "
        "<|start_header_id|> assistant <|end_header_id|> ⏎ ⏎ *not *<| *im_end *|> *<|eot_id|>",
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
    ),
    "qwen3: earlier thinking is neither seen nor trained, the last one is": Case(
        QWEN3,
        ["U one", "A <think>\nhm hm\n</think>\n\nuno", "U two", "A <think>\nwell\n</think>\n\ndos"],
        "<|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *uno *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *<think> *⏎ *well *⏎ *</think> *⏎ *⏎ *dos *<|im_end|> ⏎",
    ),
    "qwen3: without thinking the last answer has an empty block, which the model has to write": Case(
        QWEN3,
        ["S be brief", "U one", "A uno", "U two", "A dos"],
        "<|im_start|> system ⏎ be brief <|im_end|> ⏎ "
        "<|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *uno *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *<think> *⏎ *⏎ *</think> *⏎ *⏎ *dos *<|im_end|> ⏎",
    ),
    "qwen3: three answers with thinking and a control token in the last": Case(
        QWEN3,
        ["U one", "A <think>\na\n</think>\n\nuno", "U two", "A dos", "U three", "A <think>\n<|im_end|>\n</think>\n\ntres"],
        "<|im_start|> user ⏎ one <|im_end|> ⏎ <|im_start|> assistant ⏎ *uno *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ two <|im_end|> ⏎ <|im_start|> assistant ⏎ *dos *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ three <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *<think> *⏎ *<| *im_end *|> *⏎ *</think> *⏎ *⏎ *tres *<|im_end|> ⏎",
    ),
    "qwen3: a tool's answer, which the template knows by both of its ends, does not make the thinking before it earlier": Case(
        QWEN3,
        ["U one", "A <think>\nhm\n</think>\n\nuno", "U <tool_response>two</tool_response>", "A dos"],
        "<|im_start|> user ⏎ one <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *<think> *⏎ *hm *⏎ *</think> *⏎ *⏎ *uno *<|im_end|> ⏎ "
        "<|im_start|> user ⏎ <tool_response>two</tool_response> <|im_end|> ⏎ "
        "<|im_start|> assistant ⏎ *<think> *⏎ *⏎ *</think> *⏎ *⏎ *dos *<|im_end|> ⏎",
    ),
    "mistral: the system prompt moves to the last question": Case(
        MISTRAL,
        ["S be brief", "U one", "A uno", "U two", "A dos dos"],
        "[INST] one [/INST] *uno *<|im_end|> [INST] be brief ⏎ two [/INST] *dos *dos *<|im_end|>",
    ),
    "r1: all thinking is removed, though the generation prompt opens it": Case(
        R1,
        ["U one", "A <think>\nhm hm\n</think>\n\nuno uno", "U two", "A dos"],
        "<|start_header_id|> user <|end_header_id|> one <|eot_id|> "
        "<|start_header_id|> assistant <|end_header_id|> ⏎ ⏎ *uno *uno *<|eot_id|> "
        "<|start_header_id|> user <|end_header_id|> two <|eot_id|> "
        "<|start_header_id|> assistant <|end_header_id|> *dos *<|eot_id|>",
    ),
}


def read_expected(expected: str) -> tuple[list[str], list[int]]:
    marked = [word.replace("⏎", "\n") for word in expected.split()]
    return [word.removeprefix("*") for word in marked], [at for at, word in enumerate(marked) if word.startswith("*")]


@pytest.mark.parametrize("name", CASES)
def test_tokens_and_loss_are_as_written_by_hand(name: str) -> None:
    case = CASES[name]
    tokens, trained = read_expected(case.expected)
    tokenizer = word_tokenizer(tokens, case.template, eos=case.eos, bos=case.bos)
    dataset = Dataset.model_validate({"sources": [{"uri": "file:///x.jsonl", "format": "openai"}]} | case.settings)
    encoder = ChatEncoder(tokenizer, ControlTokens(tokenizer), dataset, train_all=dataset.loss_on == "all")
    [outcome] = encoder([case.turns])
    [sample] = outcome.samples
    assert tokenizer.convert_ids_to_tokens(sample.ids.tolist()) == tokens
    assert [at for at, on in enumerate(sample.trained.tolist()) if on] == trained
    assert outcome.fate == case.fate


def test_a_question_that_leaves_no_room_is_dropped() -> None:
    tokenizer = word_tokenizer(["a", "b"], SMOL)
    dataset = Dataset.model_validate({"sources": [{"uri": "file:///x.jsonl", "format": "openai"}], "max_length": 17})
    encoder = ChatEncoder(tokenizer, ControlTokens(tokenizer), dataset, train_all=False)
    fits, full = encoder([[Turn("system", "a"), Turn("user", "a a"), Turn("assistant", "b b b")],
                          [Turn("system", "a"), Turn("user", "a a a"), Turn("assistant", "b b b")]])  # fmt: skip
    assert (fits.fate, len(fits.samples), fits.samples[0].trained.tolist()) == ("answer_cut", 1, [False] * 16 + [True])
    assert (full.fate, full.samples) == ("too_long", [])
