"""`finetune init`: a commented job to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="File to write.", show_default=False)] = Path("job.yaml"),
    name: Annotated[str | None, typer.Option(help="Name of the job. [default: my-job]", show_default=False)] = None,
    model: Annotated[
        str | None, typer.Option(help="Model: hf://OWNER/REPO, pvc://CLAIM/PATH or file:///PATH.", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data: hf://OWNER/REPO, pvc://CLAIM/PATH or file:///PATH.", show_default=False)
    ] = None,
    data_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="Layout of a sample: alpaca, sharegpt, openai or text. [default: alpaca]", show_default=False
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="lora, qlora or full. [default: lora]", show_default=False)] = None,
    output: Annotated[
        str | None, typer.Option(help="Claim that takes the results on a cluster. [default: none]", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Write a commented job.yaml that validates. What the flags leave open is asked for on a terminal, or takes its default."""
    import sys

    from finetune_api.job_template import Answers, job_yaml
    from finetune_api.load import check_document
    from finetune_api.problems import located
    from finetune_api.yaml_reader import read_documents

    if file.exists() and not force:
        typer.echo(f"{file} exists already. Choose another file name, or overwrite it with --force.", err=True)
        raise typer.Exit(1)
    ask = sys.stdin.isatty()
    answers = Answers(
        name=_answer(name, "Name of the job", "my-job", ask),
        model=_answer(
            model, "Model (hf://OWNER/REPO, pvc://CLAIM/PATH or file:///PATH)", "hf://HuggingFaceTB/SmolLM2-135M-Instruct", ask
        ),
        data=_answer(data, "Data (hf://OWNER/REPO, pvc://CLAIM/PATH or file:///PATH)", "hf://tatsu-lab/alpaca", ask),
        data_format=_answer(data_format, "Layout of a sample (alpaca, sharegpt, openai, text)", "alpaca", ask),
        method=_answer(method, "Train a small adapter (lora; qlora: over 4-bit weights) or all weights (full)", "lora", ask),
        claim=_answer(output, "Claim for the results on a cluster (empty: this machine only)", "", ask),
    )
    text = job_yaml(answers)
    (document,) = read_documents(text)
    problems = check_document(document).problems
    for problem in problems:
        typer.echo(located("answer", problem), err=True)
    if problems:
        raise typer.Exit(1)
    file.write_text(text)
    on_a_cluster = f"\n  kubectl apply -f {file}" if answers.claim else ""
    typer.echo(f"Wrote {file}. Next:\n  finetune validate {file}\n  finetune run {file}{on_a_cluster}")


def _answer(flag: str | None, question: str, default: str, ask: bool) -> str:
    if flag is not None:
        return flag
    answer: Any = typer.prompt(question, default=default, show_default=bool(default)) if ask else default
    return str(answer)
