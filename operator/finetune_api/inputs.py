"""What a job starts from: the pretrained model, and the samples that it is trained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from finetune_api.part import Name, Part, SecretKey

MODEL_URI = (
    r"^(hf://[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._/-]+)?|pvc://[a-z0-9][a-z0-9.-]*(/[^\s]*)?|file://[^\s]([^\r\n]*[^\s])?)$"
)
DATA_URI = (
    r"^(hf://[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._/-]+)?|pvc://[a-z0-9][a-z0-9.-]*/[^\s]+"
    r"|configmap://[a-z0-9][a-z0-9.-]*/[A-Za-z0-9._-]+|file://[^\s]([^\r\n]*[^\s])?)$"
)
GGUF_FILE = r"^[^/\s]+\.gguf$"

ModelUri = Annotated[str, StringConstraints(pattern=MODEL_URI, max_length=1024)]
DataUri = Annotated[str, StringConstraints(pattern=DATA_URI, max_length=1024)]


class Model(Part):
    """The pretrained model that training starts from."""

    source: ModelUri = Field(
        description="Where the model is: hf://OWNER/REPO[@REVISION] (Hugging Face hub; see tokenSecretRef), "
        "pvc://CLAIM/PATH (a folder on a volume) or file:///PATH (local runs; relative to the job's YAML when not absolute).",
        examples=["hf://Qwen/Qwen3-8B", "pvc://models/smollm2", "file:///models/llama"],
    )
    token_secret_ref: SecretKey | None = Field(
        None,
        description="Secret with a Hugging Face token, for private models and data on a cluster. Local runs take HF_TOKEN from the "
        "shell.",
    )
    gguf_file: Annotated[str, StringConstraints(max_length=255, pattern=GGUF_FILE)] | None = Field(
        None, description="Name of a GGUF file inside the source; its weights are dequantised when they are loaded."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Type in which the weights are held. auto: float32 for method full (master weights), otherwise the type that "
        "training.precision names (an adapter itself is always float32). qlora: the type of what is not in 4 bits.",
    )
    attention: Literal["auto", "sdpa", "eager"] = Field(
        "auto", description="Attention implementation. auto: the one that transformers picks for the model (sdpa where it has it)."
    )
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model. Only for sources you have read.")


class Columns(Part):
    """Names of the columns that hold each part of a sample, where they differ from the format's own."""

    instruction: Name | None = Field(None, description="alpaca: the instruction. Default: instruction.")
    input: Name | None = Field(None, description="alpaca: optional context, put after the instruction. Default: input.")
    output: Name | None = Field(None, description="alpaca: the answer that is trained on. Default: output.")
    system: Name | None = Field(None, description="alpaca, sharegpt: optional system prompt. Default: system.")
    history: Name | None = Field(None, description="alpaca: optional list of [question, answer] pairs before. Default: history.")
    messages: Name | None = Field(
        None, description="sharegpt, openai: the list of turns. Default: conversations (sharegpt), messages (openai)."
    )
    role: Name | None = Field(
        None, description="sharegpt, openai: the key of a turn's role. Default: from (sharegpt), role (openai)."
    )
    content: Name | None = Field(
        None, description="sharegpt, openai: the key of a turn's text. Default: value (sharegpt), content (openai)."
    )
    text: Name | None = Field(None, description="text: the text. Default: text.")


class DataSource(Part):
    """One set of samples."""

    uri: DataUri = Field(
        description="Where the samples are: hf://OWNER/REPO[@REVISION], pvc://CLAIM/PATH, configmap://NAME/KEY or file:///PATH "
        "(relative to the job's YAML when not absolute). Files: .json, .jsonl, .parquet, .txt (format text), or a folder of them.",
        examples=["hf://tatsu-lab/alpaca", "pvc://data/pairs.jsonl"],
    )
    format: Literal["alpaca", "sharegpt", "openai", "text"] = Field(description="How a sample is laid out.")
    split: Name = Field("train", description="Split of a hub data set; files have none.")
    subset: Name | None = Field(None, description="Configuration of a hub data set that has several.")
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How often each sample of this source is used in one epoch: 1 once, 2 twice, 0.5 a fixed random half of them.",
    )
    columns: Columns = Field(Columns(), description="Names of the columns where they differ from the format's own.")


class Dataset(Part):
    """What the model is trained on, and how samples become tokens."""

    sources: Annotated[list[DataSource], Field(min_length=1, max_length=64)] = Field(description="Training samples.")
    eval_sources: Annotated[list[DataSource], Field(max_length=64)] = Field(
        [], description="Evaluation samples. Either these or evalFraction."
    )
    eval_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of the training samples that is set aside for evaluation, chosen by training.seed."
    )
    max_length: int = Field(
        2048, ge=8, le=1_048_576, description="Longest sample in tokens; longer ones lose their oldest turns, and are counted."
    )
    packing: bool = Field(
        False, description="Put several samples into one row of maxLength tokens. No sample sees its neighbours: checked at start."
    )
    chat_template: Literal["model", "chatml", "llama3", "plain"] = Field(
        "model",
        description="How turns become text. model: the template that the tokenizer brings. chatml, llama3: these templates; the "
        "tokenizer must know their control tokens. plain: 'User:' and 'Assistant:' lines, for base models without control tokens.",
    )
    loss_on: Literal["assistant", "all"] = Field(
        "assistant", description="Tokens that carry loss in chat samples: the assistant's turns, or everything."
    )
    train_end_of_turn: bool = Field(
        True, description="Also train the token that ends an assistant's turn; without it the model never learns to stop."
    )
    allow_control_tokens: bool = Field(
        False, description="Let text such as <|im_end|> inside a message become the real control token. Default: it stays text."
    )
