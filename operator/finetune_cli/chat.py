"""`finetune chat`: talk to the result of a run, or to the model as it is before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetune_cli.cluster.options import Context, Namespace, job_of, not_here, on_cluster
from finetune_cli.extras import trainer_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    Speak = Callable[[list[dict[str, str]], Callable[[str], None]], str]


def chat(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT|JOB|JOB.YAML", help="Output folder of a run, a job on the cluster, or a job file: its untrained model."
        ),
    ],
    once: Annotated[str | None, typer.Option(metavar="QUESTION", help="Answer this and leave; prints the answer only.")] = None,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="System message. Default: what the chat template says.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer, in tokens.")] = 512,
    temperature: Annotated[float, typer.Option(min=0, metavar="T", help="0: the most likely answer, always the same.")] = 0.0,
    mount: Annotated[
        list[str] | None, typer.Option(metavar="CLAIM=DIR", help="Where pvc://CLAIM is, if not where the run had it.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Talk to a model. Ctrl-D or Ctrl-C leaves. The result of a job on the cluster is fetched to runs/JOB first.

    Exit codes: 0 left, 1 there is nothing to talk to, 2 the result could not be fetched.
    """
    with trainer_extra():
        import torch  # noqa: F401
        import transformers  # noqa: F401
    from finetune_api.problems import SpecErrors
    from finetune_cli.local.mounts import parse_mounts
    from finetune_cli.status_line import status_line
    from finetune_trainer.errors import UserError
    from finetune_trainer.model.answer import answer

    try:
        mounts = parse_mounts(mount or ())
        if job := job_of(target):
            target, mounts = _fetched(job, mounts, namespace, context, not_here(target))
        with status_line() as report:
            model, tokenizer = _load(target, mounts, report)

        def speak(messages: list[dict[str, str]], emit: Callable[[str], None]) -> str:
            return answer(model, tokenizer, messages, max_new_tokens, temperature, emit)

        start = [{"role": "system", "content": system}] if system else []
        if once is not None:
            typer.echo(speak([*start, {"role": "user", "content": once}], lambda _: None).strip())
        else:
            _converse(start, speak)
    except (SpecErrors, UserError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _fetched(
    job: str, mounts: dict[str, str], namespace: str | None, context: str | None, before: str
) -> tuple[Path, dict[str, str]]:
    """Folder of the result, and the mounts that it needs. Args: before: begins the line of an error."""
    with on_cluster(namespace, context, before) as client:
        from finetune_cli.cluster.result import fetch_for_chat
        from finetune_cli.result import user_cache

        return fetch_for_chat(client, job, mounts, user_cache())


def _load(target: Path, mounts: dict[str, str], report: Callable[[str], None]) -> tuple[Any, Any]:
    """Model and tokenizer, with the chat template that belongs to them, on the GPU if there is one."""
    import torch
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    from finetune_cli.result import find_result, model_of_job
    from finetune_trainer.data.choice import apply_template_choice, require_chat_template
    from finetune_trainer.model.adapter import load_adapter
    from finetune_trainer.model.answer import speaking_dtype
    from finetune_trainer.model.load import load_weights
    from finetune_trainer.model.tokenizer import load_tokenizer

    disable_progress_bar()
    set_verbosity_error()
    if target.is_file():
        job, base = model_of_job(target, mounts, report)
        trusted, tokenizer = job.model.trust_remote_code, load_tokenizer(base, job.model.trust_remote_code)
        apply_template_choice(tokenizer, job.dataset.chat_template)
        adapter = None
    else:
        result = find_result(target)
        trusted, adapter = result.trust_remote_code, result.folder if result.adapter else None
        base = result.base_model(mounts, report) if adapter else result.whole_model()
        tokenizer = load_tokenizer(result.whole_model(), trusted)
    require_chat_template(tokenizer)
    report("loading the model")
    model: Any = load_weights(base, speaking_dtype(), trust_remote_code=trusted)
    if adapter:
        model = load_adapter(model, adapter)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _converse(messages: list[dict[str, str]], speak: Speak) -> None:
    """Questions from standard input, answers as they are made, until the input ends."""
    import sys
    from contextlib import suppress

    from finetune_trainer.errors import UserError

    with suppress(ImportError):
        import readline  # noqa: F401  (makes input() editable)
    start = list(messages)
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            question = input(prompt).strip()
            if not question:
                continue
            messages.append({"role": "user", "content": question})
            reply = speak(messages, lambda text: typer.echo(text, nl=False))
            typer.echo()
            messages.append({"role": "assistant", "content": reply})
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return
        except UserError as error:
            if error.reason != "ContextFull":
                raise
            typer.echo(f"{error} Everything said so far is forgotten.", err=True)
            messages[:] = start
