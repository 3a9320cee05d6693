"""What a model answers before training and after: one small file in the state folder, for the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune_api.contract import SAMPLES_FILE, STATE_DIR


@dataclass(frozen=True)
class Sample:
    """A prompt, what the data has there, and what the model says."""

    prompt: str
    expected: str
    before: str
    after: str


@dataclass(frozen=True)
class Samples:
    """All of them; or none, and `missing` says why."""

    samples: tuple[Sample, ...] = ()
    missing: str = ""


def write_samples(output_dir: Path, samples: Samples) -> None:
    """Write them, replacing earlier ones at once."""
    path = output_dir / STATE_DIR / SAMPLES_FILE
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(asdict(samples)))
    scratch.replace(path)


def read_samples(output_dir: Path) -> Samples | None:
    """Those of an output folder; None if nobody asked for any, or not yet."""
    try:
        raw = json.loads((output_dir / STATE_DIR / SAMPLES_FILE).read_text())
        return Samples(tuple(Sample(**sample) for sample in raw["samples"]), raw["missing"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        return Samples(missing=f"{SAMPLES_FILE} cannot be read: {error}")
