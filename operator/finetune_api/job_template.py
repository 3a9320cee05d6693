"""A commented job to start from."""

from __future__ import annotations

import json
from dataclasses import dataclass

from finetune_api.spec import API_VERSION, KIND


@dataclass(frozen=True)
class Answers:
    """What the person decided; everything else takes its default. `claim` may be empty."""

    name: str
    model: str
    data: str
    data_format: str
    method: str
    claim: str


def job_yaml(answers: Answers) -> str:
    """The job as YAML with comments. Answers are quoted where YAML needs it; whether they are allowed is not checked here."""
    full, text = answers.method == "full", answers.data_format == "text"
    dataset = [
        "    sources:",
        f"    - uri: {_quoted(answers.data)}",
        f"      format: {_quoted(answers.data_format)}              # alpaca | sharegpt | openai | text",
        "    evalFraction: 0.02            # this share of the samples is kept for evaluation",
        "    maxLength: 1024               # longest sample, in tokens",
        "    packing: true                 # fill rows of maxLength with several samples: much faster with short ones",
    ]
    training = [
        f"    stage: {'pt' if text else 'sft'}                    # sft: learn to answer. pt: go on reading plain text",
        f"    method: {_quoted(answers.method)}",
        *([] if full else ["    lora: {rank: 16, alpha: 32, dropout: 0.05}"]),
        "    numTrainEpochs: 3",
        "    perDeviceTrainBatchSize: 4    # rows per process at once; lower it when memory runs out",
        "    gradientAccumulationSteps: 4  # global batch = this x perDeviceTrainBatchSize x processes",
        f"    learningRate: {'2e-5' if full else '2e-4'}",
        "    saveSteps: 200                # a run that was stopped goes on from its last checkpoint",
        "    loggingSteps: 10",
    ]
    volume = f"volume: {{persistentVolumeClaim: {{claimName: {_quoted(answers.claim or 'runs')}}}}}"
    output = [
        "  output:",
        "    samples: 3                    # in report.html: answers before training and after",
        f"    {volume}" if answers.claim else f"    # {volume}  # on a cluster: the claim that takes the results",
    ]
    resources = [
        "  # resources:                    # on a cluster: what each node gets",
        "  #   limits: {nvidia.com/gpu: 1, memory: 64Gi}",
    ]
    lines = [
        "# Documentation of every field: finetune explain spec.training (or any other path).",
        f"apiVersion: {API_VERSION}",
        f"kind: {KIND}",
        "metadata:",
        f"  name: {_quoted(answers.name)}",
        "spec:",
        "  model:",
        f"    source: {_quoted(answers.model)}",
        "  dataset:",
        *dataset,
        "  training:",
        *training,
        "  distributed:",
        "    nodes: 1",
        "    # processesPerNode: 2         # default: one per GPU, or 1 without a GPU",
        *output,
        *resources,
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """The text as a YAML scalar that is read back as this very text."""
    plain = text and all(char.isalnum() or char in "-_./:@~" for char in text) and text[0].isalpha() and not text.endswith(":")
    return text if plain and text.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null") else json.dumps(text)
