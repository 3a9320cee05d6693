"""`finetune export`: the result of a run as one plain model folder that other programs load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from finetune_cli.extras import trainer_extra


def export(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Output folder of a finished run.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to write; it is made if it is not there.")],
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Type of the weights. auto: that of the base model.")
    ] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder with other files; a model in it is replaced.")
    ] = False,
    mount: Annotated[
        list[str] | None, typer.Option(metavar="CLAIM=DIR", help="Where pvc://CLAIM is, if not where the run had it.")
    ] = None,
) -> None:
    """Write the whole model, an adapter merged into its base, with tokenizer and chat template, in Hugging Face layout.

    Exit codes: 0 written, 1 not.
    """
    with trainer_extra():
        import torch  # noqa: F401
        import transformers  # noqa: F401
    from finetune_api.problems import SpecErrors
    from finetune_cli.local.mounts import parse_mounts
    from finetune_cli.status_line import status_line
    from finetune_trainer.errors import UserError

    try:
        with status_line() as report:
            _export(output, dest, dtype, force, parse_mounts(mount or ()), report)
    except (SpecErrors, UserError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(dest)


def _export(output: Path, dest: Path, dtype: str, force: bool, mounts: dict[str, str], report: Callable[[str], None]) -> None:
    import tempfile

    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    from finetune_cli.result import find_result
    from finetune_trainer.model.merge import copy_model, merge_adapter
    from finetune_trainer.upstream.unwrapping_imports import without_deepspeed

    without_deepspeed()
    disable_progress_bar()
    set_verbosity_error()
    result = find_result(output)
    _check_dest(output, dest, force)
    dest.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=dest) as scratch:
        aside = Path(scratch)
        if result.adapter:
            base = result.base_model(mounts, report)
            report("merging the adapter into the model")
            merge_adapter(output, base, aside, dtype, result.trust_remote_code)
        else:
            report("writing the model")
            copy_model(result.whole_model(), aside, dtype, result.trust_remote_code)
        for stale in (*dest.glob("*.safetensors"), *dest.glob("*.safetensors.index.json")):
            stale.unlink()
        for path in aside.iterdir():
            path.replace(dest / path.name)


def _check_dest(output: Path, dest: Path, force: bool) -> None:
    from finetune_trainer.errors import UserError

    if dest.exists() and not dest.is_dir():
        raise UserError("BadDestination", f"{dest} is a file.", "Name a folder.")
    if dest.resolve() == output.resolve():
        raise UserError("BadDestination", "The result cannot be exported into its own folder.", "Name another folder.")
    if dest.is_dir() and any(dest.iterdir()) and not force:
        raise UserError("BadDestination", f"{dest} is not empty.", "Name another folder, or add --force to write into it.")
