"""Record docs/transcript.md: the life of the demo's job by `kubectl finetune`, from submit to chat, on the demo's cluster.

The commands run one after the other on a terminal, in an empty folder with the job's file. What they print is written down as it
is, but for what is another each time and says nothing: dates begin on a fixed day, and names of pods end alike.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from cluster import chart
from examples.cluster.demo import JOB, NAME, NAMESPACE, ROOT, Demo, fresh, prepare_volume

PAGE = ROOT / "docs" / "transcript.md"
WIDTH, HEIGHT = 110, 40
FIRST_DAY = datetime(2026, 1, 1, 9, tzinfo=UTC)


class Step(NamedTuple):
    """A command as it is typed.

    Attributes:
        about: what is said of it.
        picture: a pattern; of a live view the page has a picture from when it first shows this.
        leave: Ctrl-C is pressed then.
    """

    command: str
    about: str
    picture: str = ""
    leave: bool = False


STEPS = [
    Step(
        f"kubectl finetune submit {JOB.name}",
        "The file is checked, the job is stored, and a live view follows it. Ctrl-C leaves the view; the job goes on.",
        picture=r"\b(1[0-9]|2[0-9])/40\b",
        leave=True,
    ),
    Step("kubectl finetune list", "Where all jobs stand."),
    Step(f"kubectl finetune suspend {NAME}", "Somebody else needs the nodes. All ranks save the same step and leave."),
    Step(f"kubectl finetune resume {NAME}", "It goes on from there."),
    Step(f"kubectl finetune status {NAME}", "The live view again, this time to the end.", picture=r"\b3[0-9]/40\b"),
    Step(f"kubectl finetune describe {NAME}", "What happened, attempt by attempt; of a failed job also why, and what to do."),
    Step(f"kubectl finetune logs {NAME} --tail 4", "The log's end on each node."),
    Step(f"kubectl finetune plot {NAME}", "The loss as a picture."),
    Step(f"kubectl finetune pull {NAME}", "The result out of the volume, each file checked by its SHA-256."),
    Step(
        f"kubectl finetune chat {NAME} --once 'What does collections.Counter do?'",
        "Talk to it, on this machine. The base model lies on the volume as well and is fetched the first time.",
    ),
]

INTRODUCTION = """\
# From submit to chat, on a terminal

What [`kubectl finetune`](kubectl-finetune.md) printed for [one job](../examples/cluster/smollm2-lora-2nodes.yaml) on two nodes of
a small cluster, with one processor core each. `make transcript` records it again. Only dates, and the ends of the names of pods,
are made the same each time.
"""

#: What moves on a terminal, and what only colours it.
_TOKEN = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<code>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n]+)")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
#: A new picture is drawn over the last one.
_REDRAWN = "\r\x1b[2K"


def screen(written: str) -> list[str]:
    """The lines that are left on a terminal. Of what moves the cursor, it knows what `rich` uses."""
    lines, row = [""], 0
    for token in _TOKEN.finditer(written):
        if token["text"]:
            lines[row] += token["text"]
        elif token["control"] == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif token["code"] == "A":
            row -= int(token["number"] or 1)
        elif token["code"] == "K":
            lines[row] = ""
    return [line.rstrip() for line in lines]


def record(step: Step, folder: Path, env: dict[str, str]) -> str:
    """Run a command on a terminal. Returns what was seen of it: the picture, if one is taken, and what was left in the end."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (HEIGHT, WIDTH))
    child = subprocess.Popen(shlex.split(step.command), cwd=folder, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    written = ""
    picture: list[str] = []
    while data := _read(master):
        written += data
        whole = written.rpartition(_REDRAWN)[0]
        if step.picture and not picture and re.search(step.picture, whole):
            picture = screen(whole)
            if step.leave:
                child.send_signal(signal.SIGINT)
    os.close(master)
    left = screen(written)
    if child.wait() != (130 if step.leave else 0) or bool(step.picture) != bool(picture):
        raise SystemExit(f"{step.command}: exit code {child.returncode}\n" + "\n".join(left))
    above = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(picture, left, strict=False)))
    return "\n".join([*picture, *(["^C"] if step.leave else []), *left[above:]]).strip("\n")


def _read(master: int) -> str:
    try:
        return os.read(master, 65_536).decode(errors="replace")
    except OSError:  # The command has ended.
        return ""


def alike(page: str) -> str:
    """The page with dates that begin on FIRST_DAY, and names of pods that do not differ from one time to the next."""
    first = min(map(datetime.fromisoformat, _DATE.findall(page)), default=FIRST_DAY)

    def shifted(date: re.Match[str]) -> str:
        return (FIRST_DAY + (datetime.fromisoformat(date[0]) - first)).strftime("%Y-%m-%dT%H:%M:%SZ")

    page = _DATE.sub(shifted, page)
    return re.sub(rf"\b({NAME}-\d+-\d+)-[a-z0-9]{{5}}\b", r"\1-x7k2m", page)


def main() -> None:
    """Record all steps and write the page."""
    # In the background of a shell SIGINT is ignored, and a command that inherits that does not feel Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = Demo()
    demo.run(*chart.upgrade_command(demo.cluster, progress_seconds=2))
    prepare_volume(demo)
    fresh(demo)
    sections = [INTRODUCTION]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(JOB, folder)
        kubeconfig = folder / ".kubeconfig"
        shutil.copy(demo.cluster.kubeconfig, kubeconfig)
        places = {"KUBECONFIG": str(kubeconfig), "XDG_CACHE_HOME": str(folder / ".cache"), "TERM": "xterm"}
        env = {**demo.env, **places, "PATH": f"{Path(sys.executable).parent}:{demo.env['PATH']}"}
        context = ["kubectl", "config", "set-context", "--current", f"--namespace={NAMESPACE}"]
        subprocess.run(context, env=env, stdout=subprocess.DEVNULL, check=True)
        for step in STEPS:
            print(f"$ {step.command}", flush=True)
            seen = record(step, folder, env)
            print(seen, flush=True)
            sections.append(f"{step.about}\n\n```text\n$ {step.command}\n{seen}\n```\n")
    PAGE.write_text(alike("\n".join(sections)))


if __name__ == "__main__":
    main()
