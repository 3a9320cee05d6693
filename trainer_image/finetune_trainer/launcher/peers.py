"""How the nodes of an attempt tell each other that it is over: a file per failed node in the shared state folder."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer import fence
from finetune_trainer.settings import NodeSettings


@dataclass(frozen=True)
class PeerFailure:
    """Why a node left. `exit_code` is one of contract.ExitCode, and not OK."""

    node_rank: int
    exit_code: int
    reason: str
    message: str

    @property
    def is_stop(self) -> bool:
        """The node was asked to stop: no failure, but the attempt is over for all."""
        return self.exit_code == ExitCode.PREEMPTED


def forget(settings: NodeSettings) -> None:
    """Remove what an earlier launcher of this node and attempt has left."""
    _path(settings, settings.node_rank).unlink(missing_ok=True)


def tell(settings: NodeSettings, failure: PeerFailure) -> None:
    """Let the other nodes know, if this one has ever claimed its place beside them.

    A folder that cannot be written is no reason to end in another way.
    """
    with contextlib.suppress(OSError):
        if fence.tokens(settings.state_dir).get(settings.node_rank) != settings.token:
            return
        path = _path(settings, failure.node_rank)
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(failure)))
        scratch.replace(path)


def first_failure(settings: NodeSettings) -> PeerFailure | None:
    """The failure of another node that matters most, if any: one that is not itself about a lost peer."""
    try:
        others = set(settings.state_dir.glob(f"failed-{settings.token.generation}-*.json")) - {_path(settings, settings.node_rank)}
        found = [PeerFailure(**json.loads(path.read_text())) for path in others]
    except OSError:  # A network file system that does not answer just now is no reason to end; it is asked again.
        return None
    return min(found, key=lambda failure: (failure.reason == "PeerLost", failure.node_rank), default=None)


def _path(settings: NodeSettings, node_rank: int) -> Path:
    return settings.state_dir / f"failed-{settings.token.generation}-{node_rank}.json"
