"""Where the chart is, and what a test gets to render it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CHART = Path(__file__).parents[2] / "helm" / "finetune-operator"

#: Values as a user gives them -> all objects.
Render = Callable[..., list[dict[str, Any]]]
