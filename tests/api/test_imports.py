"""What finetune_api needs to be installed."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import finetune_api


def test_the_api_imports_pydantic_and_pyyaml_only():
    modules = [f"finetune_api.{module.name}" for module in pkgutil.iter_modules(finetune_api.__path__)]
    allowed = {"finetune_api", "pydantic", "pydantic_core", "yaml", "annotated_types", "typing_extensions", "typing_inspection"}
    code = (
        f"import sys; before = set(sys.modules); import {', '.join(modules)}; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(finetune_api.__file__).parents[1])}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert {name for name in printed.split() if not name.startswith(("_", "cython"))} <= allowed


def test_every_module_was_looked_at():
    assert {module.name for module in pkgutil.iter_modules(finetune_api.__path__)} >= {"spec", "load", "rules", "crd", "status"}
