"""What prepare hands to the ranks of all nodes: one small JSON file in the output folder's state folder, written by node 0."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class LocalModel:
    """A model that is on this machine (or on a volume that all nodes mount).

    Attributes:
        folder: Hugging Face layout, or the folder of the GGUF file.
        gguf_file: its name, if the weights come from one.
        origin: what to write down as the base model: repo id, or the folder.
        revision: commit of a hub model.
    """

    folder: str
    gguf_file: str | None
    origin: str
    revision: str | None = None


@dataclass(frozen=True)
class Prepared:
    """Everything a rank needs besides the job itself.

    Attributes:
        model: where the model is.
        data: folder with the plan (rows to train on), see data/reader.py.
        counts: what became of the samples: read, kept, truncated, dropped, ... for the log and the model card.
        warnings: lines for people.
        configuration: a DeepSpeed or FSDP configuration that the user has brought along, as it was written.
    """

    model: LocalModel
    data: str
    counts: dict[str, Any]
    warnings: list[str]
    configuration: dict[str, Any] | None = None

    def write(self, path: Path) -> None:
        """Write atomically; other nodes wait for this file."""
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(self)))
        scratch.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The reverse of write."""
        raw = json.loads(path.read_text())
        return cls(model=LocalModel(**raw.pop("model")), **raw)
