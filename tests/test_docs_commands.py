"""Each command of the documentation is run by a test or says why not, and is one that the program takes."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from finetune_cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "bench/README.md"]
LISTED = yaml.safe_load((ROOT / "tests/docs_commands.yaml").read_text())
CLI: Any = get_command(app)
#: Languages of blocks: what is typed, what is written into files, what is shown.
LANGUAGES = {"sh", "yaml", "json", "text", "mermaid", "{toctree}"}
#: Options of other programs that are named in the text.
OTHERS_OPTIONS = {"--no_ssh", "--num_machines", "--take-ownership"}


def _blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block."""
    for found in re.finditer(r"^```(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def _commands(page: Path) -> Iterator[str]:
    for language, text in _blocks(page):
        if language == "sh":
            lines = (re.sub(r"(^|\s)#.*", "", line).split() for line in text.replace("\\\n", " ").splitlines())
            yield from (" ".join(line) for line in lines if line)


def _spans(page: Path) -> list[str]:
    """What is marked as code inside of a text."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


DOCUMENTED = {command for page in PAGES for command in _commands(page)}
FINETUNE = re.compile(r"(kubectl )?finetune(?= )")


def test_each_block_says_what_it_is():
    assert {(page.name, language) for page in PAGES for language, _ in _blocks(page) if language not in LANGUAGES} == set()


def test_each_command_has_a_test_or_a_reason():
    listed = [command for group in LISTED.values() for commands in group.values() for command in commands]
    assert sorted(DOCUMENTED - set(listed)) == []
    assert sorted(set(listed) - DOCUMENTED) == []
    assert len(listed) == len(set(listed)) > 60


@pytest.mark.parametrize("node", LISTED["run"])
def test_the_tests_exist(node: str):
    file, _, name = node.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def _parse(words: list[str]) -> None:
    """As the program does before it begins to work."""
    command, name = CLI, "finetune"
    while hasattr(command, "commands") and words:
        name, *words = words
        command = command.commands[name]
    if words or not hasattr(command, "commands"):
        command.make_context(name, words)


@pytest.mark.parametrize("command", sorted(filter(FINETUNE.match, DOCUMENTED)))
def test_the_program_takes_it(command: str):
    _parse(shlex.split(FINETUNE.sub("", command, count=1)))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_program_takes_what_is_named_in_the_text(page: Path):
    """A command without anything behind it is a name, and need not be complete."""
    for span in filter(FINETUNE.match, _spans(page)):
        words = shlex.split(FINETUNE.sub("", span, count=1))
        if len(words) == 1 and not words[0].startswith("-"):
            assert words[0] in CLI.commands, span
        elif not words[0].startswith("-"):
            _parse(words)


def test_options_that_are_named_exist():
    def options(command: Any) -> set[str]:
        below = set().union(*map(options, getattr(command, "commands", {}).values()))
        return below | {option for each in command.params for option in each.opts} | {"--help"}

    named = {span.split()[0].partition("=")[0] for page in PAGES for span in _spans(page) if span.startswith("--")}
    assert len(named) > 15
    assert sorted(named - options(CLI) - OTHERS_OPTIONS) == []


@pytest.mark.parametrize("command", LISTED["run"]["tests/test_docs_commands.py::test_what_costs_nothing_runs_as_it_stands"])
def test_what_costs_nothing_runs_as_it_stands(command: str, tmp_path: Path):
    (tmp_path / "my-first").mkdir()
    (job,) = (text for language, text in _blocks(ROOT / "docs/first-job.md") if language == "yaml")
    (tmp_path / "my-first/job.yaml").write_text(job)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    program, *arguments = shlex.split(command)
    start = [sys.executable, *(["-m", "finetune_cli.main"] if program == "finetune" else [])]
    subprocess.run([*start, *arguments], cwd=tmp_path, check=True)
