"""How a rank (or prepare) tells its launcher that it is alive, and where it stands: one small file, replaced atomically."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_api.contract import Phase


@dataclass(frozen=True)
class Beat:
    """The last sign of life. `at` is time.monotonic() of this machine; `progress` holds fields of contract.Progress."""

    at: float
    phase: Phase
    progress: dict[str, Any] = field(default_factory=dict)


class Heartbeat:
    """Writer. A beat costs about 50 microseconds on a local file system; the folder is never on the output volume."""

    def __init__(self, path: Path) -> None:
        self._path, self._scratch = path, path.with_suffix(".tmp")
        self._phase: Phase = "starting"
        self._progress: dict[str, Any] = {}

    @property
    def phase(self) -> Phase:
        """The phase of the last beat."""
        return self._phase

    @property
    def progress(self) -> Mapping[str, Any]:
        """Everything told so far."""
        return self._progress

    def beat(self, phase: Phase | None = None, **progress: Any) -> None:
        """Tell that work goes on. `progress`: snake_case fields of contract.Progress; earlier values are kept."""
        self._phase = phase or self._phase
        self._progress.update(progress)
        self._scratch.write_text(json.dumps({"at": time.monotonic(), "phase": self._phase, "progress": self._progress}))
        os.replace(self._scratch, self._path)  # noqa: PTH105  (on the hot path)


def read(path: Path) -> Beat | None:
    """The last beat, or None if there was none yet."""
    try:
        return Beat(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
