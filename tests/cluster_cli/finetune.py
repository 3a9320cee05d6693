"""Run `finetune` against a cluster: to its end in this process, or as a program that a test watches."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from cluster.control_plane import ControlPlane
from finetune_cli.main import app

_PACKAGES = [str(Path(__file__).parents[2] / folder) for folder in ("operator", "trainer_image")]


class Program:
    """A command under way."""

    def __init__(self, arguments: tuple[str, ...], env: dict[str, str]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-u", "-m", "finetune_cli.main", *arguments],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    def read_until(self, pattern: str) -> str:
        """Read lines up to one that matches; the test's time limit ends a vain wait. Returns the line."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.output += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without {pattern!r}:\n{self.output}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._child.send_signal(number)

    def stop_reading(self) -> None:
        """Nobody reads what it prints any more."""
        assert self._child.stdout is not None
        self._child.stdout.close()

    def end(self) -> int:
        """Read the rest, and return its exit code."""
        assert self._child.stdout is not None
        self.output += "" if self._child.stdout.closed else self._child.stdout.read()
        return self._child.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()


class Terminal:
    """A command under way on a terminal of 100 columns."""

    def __init__(self, finetune: Finetune, *arguments: str) -> None:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (30, 100))
        env = {**os.environ, **finetune.env, "PYTHONPATH": os.pathsep.join(_PACKAGES), "TERM": "xterm"}
        command = [sys.executable, "-m", "finetune_cli.main", *arguments]
        self._child = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read until the text has been drawn; the test's time limit ends a vain wait."""
        while text not in self.output and self._read():
            pass

    def end(self) -> int:
        """Read the rest, and return its exit code."""
        while self._read():
            pass
        os.close(self._master)
        return self._child.wait()

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Nobody writes to it any more.
            return False
        self.output += data.decode(errors="replace")
        return bool(data)


class Finetune:
    """The command.

    Args:
        kubeconfig: who runs it, where.
        plane: the cluster, where it is a control plane without nodes.
    """

    def __init__(self, kubeconfig: Path, plane: ControlPlane | None = None) -> None:
        self.plane = plane
        self.env = {"KUBECONFIG": str(kubeconfig), "COLUMNS": "100"}
        self._programs: list[Program] = []

    def run(self, *arguments: object) -> Result:
        """Run it to its end."""
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=self.env)

    def says(self, *arguments: object, exit_code: int = 0) -> str:
        """Run it to its end, which is as expected. Returns what it printed."""
        result = self.run(*arguments)
        assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
        return result.output

    def start(self, *arguments: object) -> Program:
        """Start it."""
        env = {**os.environ, **self.env, "PYTHONPATH": os.pathsep.join(_PACKAGES)}
        self._programs.append(Program(tuple(str(argument) for argument in arguments), env))
        return self._programs[-1]

    def close(self) -> None:
        """End what still runs."""
        for program in self._programs:
            program.kill()


def write(manifest: dict[str, Any], file: str = "job.yaml") -> Path:
    """A job file in the current folder."""
    path = Path(file)
    path.write_text(yaml.safe_dump(manifest))
    return path


def kubeconfig(original: Path, namespace: str, copy: Path) -> Path:
    """The same login with another namespace of the context."""
    document = yaml.safe_load(original.read_text())
    document["contexts"][0]["context"]["namespace"] = namespace
    copy.write_text(json.dumps(document))
    return copy
