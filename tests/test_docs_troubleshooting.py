"""Troubleshooting knows every word by which a failure is told."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from finetune_cli.cluster.advice import ADVICE
from finetune_trainer.results import earlier_run

ROOT = Path(__file__).parent.parent
#: What makes a failure of a reason; the reason is one of the first two arguments.
MAKERS = {"UserError", "Cause", "Refusal", "Trouble", "Verdict"}
WORD = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")
#: Words for what is going on, and that of the advice for what others call OutOfMemory.
NO_FAILURE = {"GpuOutOfMemory", "Completed", "Stopped"}


def _reasons() -> Iterator[str]:
    for path in (*ROOT.glob("operator/**/*.py"), *ROOT.glob("trainer_image/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                constants = (word.value for word in node.args[:2] if isinstance(word, ast.Constant))
                yield from (word for word in constants if isinstance(word, str) and WORD.fullmatch(word))


def test_every_reason_is_there():
    reasons = {*_reasons(), *ADVICE, *get_args(earlier_run.Refusal)}
    assert len(reasons) > 80
    page = set(re.findall(r"`(\w+)`", (ROOT / "docs/troubleshooting.md").read_text()))
    assert sorted(reasons - NO_FAILURE - page) == []
