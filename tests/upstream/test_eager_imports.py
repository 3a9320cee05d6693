"""transformers.trainer still imports packages that it does not use; when it stops, eager_imports.py can go."""

import json
import subprocess
import sys

PROBE = """
import json, sys
from finetune_trainer.upstream.eager_imports import hide
hide(json.loads(sys.argv[1]))
exec(sys.argv[2])
print(json.dumps([name for name in ("datasets", "pandas", "pyarrow", "peft", "torch") if name in sys.modules]))
"""
TRAINER, TOKENIZER = "import transformers.trainer", "from transformers import AutoTokenizer"


def imported(statement: str, hidden: list[str]) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROBE, json.dumps(hidden), statement], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_upstream_still_imports_them() -> None:
    assert {"datasets", "peft"} <= set(imported(TRAINER, [])), "fixed upstream: remove finetune_trainer/upstream/eager_imports.py"
    assert "torch" in imported(TOKENIZER, []), "fixed upstream: prepare.py need not hide torch any more"


def test_hidden_packages_stay_out() -> None:
    assert imported(TRAINER, ["datasets", "peft"]) == ["torch"]
    assert imported(TOKENIZER, ["torch"]) == []


def test_it_says_when_it_is_too_late() -> None:
    code = "import transformers.trainer; from finetune_trainer.upstream.eager_imports import hide; hide(['peft'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "hide() must run before it" in done.stderr, done.stderr
