"""docs/transcript.md is of the commands that `make transcript` runs, these exist, and what a terminal shows is read rightly."""

from __future__ import annotations

import io
import re
import shlex

import pytest
from rich.console import Console
from rich.live import Live
from typer.main import get_command

from examples.cluster.transcript import PAGE, STEPS, alike, screen
from finetune_cli.main import app


def test_the_page_was_recorded_by_the_script_as_it_is():
    assert re.findall(r"^\$ (.+)$", PAGE.read_text(), re.MULTILINE) == [step.command for step in STEPS]
    assert alike(PAGE.read_text()) == PAGE.read_text()


@pytest.mark.parametrize("command", [step.command for step in STEPS])
def test_its_commands_exist_with_their_options(command: str):
    kubectl, plugin, *arguments = shlex.split(command)
    assert (kubectl, plugin) == ("kubectl", "finetune")
    group = get_command(app)
    with group.make_context("finetune", [arguments[0]], resilient_parsing=True) as context:
        name, found, rest = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
        found.make_context(name, rest, parent=context)


def test_of_a_live_view_the_last_picture_is_seen_and_in_the_end_what_was_printed_beside_it():
    file = io.StringIO(newline="")
    console = Console(file=file, force_terminal=True, width=40, color_system="standard")

    def seen() -> list[str]:
        return [line for line in screen(file.getvalue()) if line]

    console.print("before")
    with Live("one\ntwo\nthree", console=console, auto_refresh=False, transient=True) as live:
        live.update("[red]four[/]\nfive", refresh=True)
        assert seen() == ["before", "four", "five"]
        console.print("beside")
        assert seen() == ["before", "beside", "four", "five"]
    console.print("after")
    assert seen() == ["before", "beside", "after"]
