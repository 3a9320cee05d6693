"""`finetune report`."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from finetune_api.contract import LOG_FILE, REPORT_FILE
from finetune_cli.report import report
from results.runs import ATTEMPTS, lines, write_run

app = typer.Typer()
app.command()(report)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_one_run_goes_into_its_folder(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", lines(3), ATTEMPTS)
    result = run(folder / LOG_FILE)
    assert (result.exit_code, result.output.strip()) == (0, str(folder / REPORT_FILE))
    text = (folder / REPORT_FILE).read_text()
    assert "<h1>tiny</h1>" in text and "Rank 1 failed." in text and "Settings that differ" not in text
    assert not list(folder.glob("*.tmp"))


def test_several_runs_go_into_the_file_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [write_run(tmp_path / name, lines(3), training={"learningRate": rate}) for name, rate in (("a", 1e-3), ("b", 2e-3))]
    monkeypatch.chdir(tmp_path)
    assert run(*folders).output.strip() == "runs.html"
    assert run(*folders, "--to", "both.html").output.strip() == "both.html"
    text = (tmp_path / "both.html").read_text()
    assert "spec.training.learningRate" in text and "spec.training.seed" not in text


def test_a_run_under_way(tmp_path: Path) -> None:
    """Also one whose last line is being written."""
    folder = write_run(tmp_path / "a", lines(3), ATTEMPTS[:4])
    with (folder / LOG_FILE).open("a") as file:
        file.write('{"current_steps": 4, "lo')
    assert run(folder).exit_code == 0
    text = (folder / REPORT_FILE).read_text()
    assert 'data-state="under way"' in text and "3 of 3" in text


def test_a_folder_without_a_record_of_attempts_has_no_time_line(tmp_path: Path) -> None:
    assert run(write_run(tmp_path / "a", lines(3))).exit_code == 0
    assert "Time line" not in (tmp_path / "a" / REPORT_FILE).read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["RUN", "--to", "a.pdf"], 2, "a.html"),
        (["RUN/missing"], 1, "Nothing has been logged yet in RUN/missing"),
        (["RUN", "EMPTY"], 1, "Nothing has been logged yet in EMPTY"),
        (["RUN", "--to", "RUN/absent/a.html"], 1, "RUN/absent"),
        (["RUN/finetunejob.yaml"], 1, "RUN/finetunejob.yaml"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    places = {"RUN": str(write_run(tmp_path / "a", lines(3))), "EMPTY": str(tmp_path / "empty")}
    (tmp_path / "empty").mkdir()

    def placed(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, place)
        return text

    result = run(*map(placed, arguments))
    assert result.exit_code == code and placed(told) in result.output
    assert code == 2 or result.output.count("\n") == 1
    assert not (tmp_path / "a" / REPORT_FILE).exists()
