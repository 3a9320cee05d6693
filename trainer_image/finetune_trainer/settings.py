"""What the environment tells a launcher: the contract, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from finetune_api import contract as c
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Token


@dataclass(frozen=True)
class NodeSettings:
    """One node's place in the job. Paths are absolute; `http_port` 0 means any free port; `token` is for the fence."""

    nnodes: int
    node_rank: int
    nproc_per_node: int
    master_addr: str
    master_port: int
    job_file: Path
    output_dir: Path
    token: Token
    mounts: Mapping[str, str]
    http_port: int
    http_port_file: Path | None
    termination_log: Path
    parent_pid: int | None

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 0."""
        return self.token.attempt

    @property
    def state_dir(self) -> Path:
        """Folder in the output folder for everything that is not a result."""
        return self.output_dir / c.STATE_DIR

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the contract's variables.

        Raises:
            UserError: BadEnvironment, naming the variable.
        """

        def number(name: str, default: int) -> int:
            text = env.get(name, str(default))
            try:
                return int(text)
            except ValueError:
                raise UserError("BadEnvironment", f"{name}={text!r} is not a number.") from None

        try:
            mounts = json.loads(env.get(c.ENV_MOUNTS, "{}"))
        except ValueError:
            raise UserError("BadEnvironment", f"{c.ENV_MOUNTS} is not JSON.") from None
        port_file, parent = env.get(c.ENV_HTTP_PORT_FILE), env.get(c.ENV_PARENT_PID)
        return cls(
            nnodes=number(c.ENV_NNODES, 1),
            node_rank=number(c.ENV_NODE_RANK, 0),
            nproc_per_node=number(c.ENV_NPROC_PER_NODE, 1),
            master_addr=env.get(c.ENV_MASTER_ADDR, "127.0.0.1"),
            master_port=number(c.ENV_MASTER_PORT, 29500),
            job_file=Path(env.get(c.ENV_JOB_FILE, c.JOB_FILE)).absolute(),
            output_dir=Path(env.get(c.ENV_OUTPUT_DIR, c.OUTPUT_DIR)).absolute(),
            token=Token(number(c.ENV_JOB_CREATED, 0), number(c.ENV_ATTEMPT, 0), env.get(c.ENV_POD_UID, "local")),
            mounts=mounts,
            http_port=number(c.ENV_HTTP_PORT, c.HTTP_PORT),
            http_port_file=Path(port_file) if port_file else None,
            termination_log=Path(env.get(c.ENV_TERMINATION_LOG, c.TERMINATION_LOG)),
            parent_pid=int(parent) if parent else None,
        )
