"""`finetune validate`: everything that is wrong with job files, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from finetune_api.load import Checked


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Job files; a file may hold several documents.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field first, as in spec.training.maxSteps=20.")
    ] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="What only a cluster would refuse is a problem as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say everything that is wrong in job files.

    Each problem with its place and what to write instead, before anything runs. What only a cluster would refuse, such as a job
    without an output volume, is noted: `finetune run` does without it, `kubectl apply` does not.

    Exit code 0: all jobs are right. 1: problems were found.
    """
    from finetune_api.extra_args import training_argument_names

    known = training_argument_names()
    results = [(str(file), check(file, overrides or [], known, cluster)) for file in files]
    if as_json:
        _print_json(results, known is not None)
    else:
        _print_text(results, known is not None)
    if any(checked.problems for _, documents in results for checked in documents):
        raise typer.Exit(1)


def check(file: Path, overrides: list[str], known: frozenset[str] | None, cluster: bool) -> list[Checked]:
    """check_file, and the names in extraArgs where transformers is installed.

    Args:
        cluster: count what only a cluster refuses among the problems.
    """
    from dataclasses import replace

    from finetune_api.extra_args import unknown_extra_args
    from finetune_api.load import check_file

    results = []
    for checked in check_file(file, overrides):
        if known is not None:
            unknown = unknown_extra_args(checked.extra_args, known)
            lines = checked.extra_args
            placed = [replace(problem, line=lines[problem.path.rpartition(".")[2]]) for problem in unknown]
            checked = replace(checked, problems=[*checked.problems, *placed])
        if cluster:
            checked = replace(checked, problems=[*checked.problems, *checked.cluster_problems], cluster_problems=[])
        results.append(checked)
    return results


def _print_text(results: list[tuple[str, list[Checked]]], names_checked: bool) -> None:
    from finetune_api.problems import located

    problems = 0
    for file, documents in results:
        for checked in documents:
            for problem in sorted(checked.problems, key=lambda problem: problem.line or 0):
                problems += 1
                typer.echo(located(file, problem), err=True)
            if checked.skipped:
                typer.echo(f"{file}: {checked.name} skipped: not a FineTuneJob")
            elif not checked.problems:
                typer.echo(f"{file}: {checked.name} ok")
                if checked.extra_args and not names_checked:
                    typer.echo(
                        "  names in extraArgs not checked: transformers is not installed (pip install 'finetune-operator[trainer]')"
                    )
            for problem in sorted(checked.cluster_problems, key=lambda problem: problem.line or 0):
                typer.echo(located(file, problem, where="on a cluster"))
    if problems:
        typer.echo(f"{problems} problem{'s' if problems > 1 else ''}", err=True)


def _print_json(results: list[tuple[str, list[Checked]]], names_checked: bool) -> None:
    import json
    from dataclasses import asdict

    documents = [
        {
            "file": file,
            "name": checked.name,
            "valid": not checked.problems and not checked.skipped,
            "skipped": checked.skipped,
            "problems": [asdict(problem) for problem in checked.problems],
            "clusterProblems": [asdict(problem) for problem in checked.cluster_problems],
        }
        for file, found in results
        for checked in found
    ]
    valid = all(not document["problems"] for document in documents)
    typer.echo(json.dumps({"valid": valid, "extraArgsNamesChecked": names_checked, "documents": documents}, indent=2))
