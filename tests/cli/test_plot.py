"""`finetune plot`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from finetune_api.contract import LOG_FILE, PLOT_FILE
from finetune_cli.plot import plot
from finetune_cli.run_names import run_names

app = typer.Typer()
app.command()(plot)


def a_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    lines = ({"current_steps": step, "total_steps": 3, "loss": 3.0 - step} for step in (1, 2, 3))
    (folder / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_one_run_is_drawn_into_its_folder(tmp_path: Path) -> None:
    run = a_run(tmp_path / "a")
    result = CliRunner().invoke(app, [str(run / LOG_FILE)])
    assert (result.exit_code, result.output.strip()) == (0, str(run / PLOT_FILE))
    assert (run / PLOT_FILE).stat().st_size > 5000


def test_several_runs_into_the_file_asked_for(tmp_path: Path) -> None:
    runs = [str(a_run(tmp_path / name)) for name in ("a", "b")]
    result = CliRunner().invoke(app, [*runs, "--out", str(tmp_path / "both.png"), "--metric", "loss"])
    assert result.exit_code == 0
    assert (tmp_path / "both.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["RUN", "--metric", "los"], 2, "los: choose from loss"),
        (["RUN", "--out", "a.pdf"], 2, "a.png"),
        (["RUN/missing"], 1, "Nothing has been logged yet"),
        (["RUN", "--metric", "grad-norm"], 1, "Nothing to draw"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    run = a_run(tmp_path / "a")
    result = CliRunner().invoke(app, [argument.replace("RUN", str(run)) for argument in arguments])
    assert result.exit_code == code
    assert told in result.output


def test_names_tell_runs_apart() -> None:
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/a"), Path("/y/a")]) == ["x/a", "y/a"]
    assert run_names([Path("/x/a"), Path("/x/a")]) == ["a (1)", "a (2)"]
