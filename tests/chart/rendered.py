"""Where the chart is, and what a test gets to render it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CHART = Path(__file__).parents[2] / "helm" / "finetune-operator"
#: Files of values as users have them.
VALUES = Path(__file__).with_name("values")

#: Values as a user gives them -> all objects.
Render = Callable[..., list[dict[str, Any]]]
