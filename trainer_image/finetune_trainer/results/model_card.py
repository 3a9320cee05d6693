"""The model card: what was trained on what, with which settings, and how to load it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from finetune_api.contract import MERGED_DIR, PLOT_FILE
from finetune_api.spec import FineTuneJob
from finetune_api.yaml_writer import to_yaml
from finetune_trainer.prepared import Prepared
from finetune_trainer.results.resolved_job import public_manifest

Table = Sequence[tuple[str, str]]


def model_card(job: FineTuneJob, prepared: Prepared, log: Sequence[Mapping[str, Any]], library_versions: Mapping[str, str]) -> str:
    """README.md of the result, as the Hugging Face hub reads it.

    Args:
        log: lines of trainer_log.jsonl.
        library_versions: distribution -> version.
    """
    method = "A LoRA adapter" if job.spec.training.has_adapter else "All weights"
    goal = "supervised fine-tuning" if job.spec.training.stage == "sft" else "continued pretraining"
    versions = ", ".join(f"{name} {version}" for name, version in library_versions.items())
    parts = [
        _front_matter(job, prepared),
        f"# {job.metadata.name}\n\n{method} of `{_base_name(prepared)}`, trained by {goal}.",
        f"![Loss]({PLOT_FILE})",
        _section("Results", _table(("Result", "Value"), _results(log))),
        _section("How to load it", f"```python\n{_loading(job, prepared)}\n```"),
        _section("Data", _data(job, prepared)),
        _section("Settings", _table(("Setting", "Value"), _settings(job))),
        _section("Versions", versions),
        f"<details><summary>finetunejob.yaml</summary>\n\n```yaml\n{to_yaml(public_manifest(job))}```\n\n</details>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(job: FineTuneJob, prepared: Prepared) -> str:
    """Only what the hub accepts: a base model or a data set that is not on the hub has no name there."""
    training = job.spec.training
    meta: dict[str, Any] = {}
    if job.model.source.startswith("hf://"):
        meta["base_model"] = prepared.model.origin.partition("@")[0]
    meta["library_name"] = "peft" if training.has_adapter else "transformers"
    meta["pipeline_tag"] = "text-generation"
    meta["tags"] = ["finetune-operator", training.stage, training.method]
    uris = [source.uri for source in job.dataset.sources]
    hub = [uri.removeprefix("hf://").partition("@")[0] for uri in uris if uri.startswith("hf://")]
    if hub:
        meta["datasets"] = list(dict.fromkeys(hub))
    return f"---\n{to_yaml(meta)}---"


def _results(log: Sequence[Mapping[str, Any]]) -> Table:
    losses = [(line["loss"], line["current_steps"]) for line in log if "loss" in line]
    evals = [(line["eval_loss"], line["current_steps"]) for line in log if "eval_loss" in line]
    rows: list[tuple[str, str]] = []
    if log:
        rows.append(("Optimizer steps", str(log[-1]["current_steps"])))
    for name, values in (("Training loss", losses), ("Evaluation loss", evals)):
        if values:
            best, step = min(values)
            rows.append((f"{name}: first, last, best", f"{values[0][0]:.4f}, {values[-1][0]:.4f}, {best:.4f} (step {step})"))
    tokens = [line["total_tokens"] for line in log if "total_tokens" in line]
    speeds = sorted(line["throughput"] for line in log if "throughput" in line)
    if tokens:
        rows.append(("Tokens", f"{tokens[-1]:,}"))
    if speeds:
        rows.append(("Tokens per second (median)", f"{speeds[len(speeds) // 2]:,.0f}"))
    return rows


def _settings(job: FineTuneJob) -> Table:
    """What someone needs to judge or repeat the training; the whole job is at the end of the card."""
    training, dataset, spread = job.spec.training, job.dataset, job.spec.distributed
    world = spread.nodes * (spread.processes_per_node or 1)
    batch = training.per_device_train_batch_size * training.gradient_accumulation_steps * world
    length = f"{training.max_steps} steps" if training.max_steps > 0 else f"{training.num_train_epochs:g} epochs"
    rows = [
        ("Method", training.method),
        ("Length", length),
        (
            "Global batch",
            f"{batch} rows = {training.per_device_train_batch_size} per process x {world} process{'es' * (world != 1)}"
            f" x {training.gradient_accumulation_steps} accumulated",
        ),
        ("Learning rate", f"{training.learning_rate:g}, {training.lr_scheduler_type}, warmup {training.warmup_ratio:g}"),
        (
            "Optimizer",
            f"{training.optim}, weight decay {training.weight_decay:g}, gradient norm clipped to {training.max_grad_norm:g}",
        ),
        ("Precision", training.precision),
        ("Sequence length", f"{dataset.max_length} tokens{', packed' if dataset.packing else ''}"),
        ("Loss on", "all tokens" if training.stage == "pt" or dataset.loss_on == "all" else "the assistant's turns"),
        ("Strategy", spread.strategy),
        ("Seed", str(training.seed)),
    ]
    if training.has_adapter:
        lora = training.lora
        modules = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
        rows.insert(1, ("LoRA", f"rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, on {modules}"))
    return rows


def _data(job: FineTuneJob, prepared: Prepared) -> str:
    sources = [f"- `{source.uri}` ({source.format}, weight {source.weight:g})" for source in job.dataset.sources]
    counts = [(_words(name), f"{value:,}") for name, value in prepared.counts.items() if _is_count(value)]
    warnings = [f"> {warning}" for warning in prepared.warnings]
    blocks = ["\n".join(sources), _table(("Data", "Count"), counts), "\n".join(warnings)]
    return "\n\n".join(block for block in blocks if block)


def _loading(job: FineTuneJob, prepared: Prepared) -> str:
    base, training = prepared.model, job.spec.training
    if not training.has_adapter:
        return _code(["AutoModelForCausalLM"], ['model = AutoModelForCausalLM.from_pretrained("PATH/OF/THIS/FOLDER")'])
    revision = f", revision={base.revision!r}" if base.revision else ""
    file = job.model.gguf_file  # Not base.gguf_file: prepare has turned it into a plain folder in its cache.
    gguf = f", gguf_file={file!r}" if file else ""
    names, before, four_bit = ["AutoModelForCausalLM"], [], ""
    if training.method == "qlora" and not file:
        names.append("BitsAndBytesConfig")
        before = [
            "# As it was trained, in 4 bits; without quantization_config the adapter fits the base model as it is, too.",
            "four_bit = BitsAndBytesConfig(",
            '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
            f'    bnb_4bit_compute_dtype="{training.compute_dtype}",',
            ")",
        ]
        four_bit = ", quantization_config=four_bit"
    lines = [
        *before,
        f"base = AutoModelForCausalLM.from_pretrained({_base_name(prepared)!r}{revision}{gguf}{four_bit})",
        'model = PeftModel.from_pretrained(base, "PATH/OF/THIS/FOLDER")',
    ]
    merged = (
        ["", f"# The adapter merged into its base model is in {MERGED_DIR}/ and needs no peft."]
        if job.spec.output.merge_adapter
        else []
    )
    return _code(names, lines, ["from peft import PeftModel"], merged)


def _code(names: Sequence[str], model: Sequence[str], first: Sequence[str] = (), last: Sequence[str] = ()) -> str:
    """`names` are what it takes from transformers, besides the tokenizer."""
    imports = f"from transformers import {', '.join(sorted([*names, 'AutoTokenizer']))}"
    return "\n".join([*first, imports, "", *model, 'tokenizer = AutoTokenizer.from_pretrained("PATH/OF/THIS/FOLDER")', *last])


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: tuple[str, str], rows: Table) -> str:
    if not rows:
        return ""
    lines = [head, ("---", "---"), *((name, value.replace("|", "\\|")) for name, value in rows)]
    return "\n".join(f"| {name} | {value} |" for name, value in lines)


def _base_name(prepared: Prepared) -> str:
    return prepared.model.origin.partition("@")[0]


def _words(name: str) -> str:
    return re.sub(r"[_.]", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower().capitalize()


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
