"""What must hold before anything is started: the launcher is there, the output folder takes files, the ports are free."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path

from finetune_api.spec import Distributed
from finetune_trainer.errors import UserError
from finetune_trainer.settings import NodeSettings

#: Less than this cannot even hold the logs of a run.
MIN_FREE_BYTES = 16 * 1024 * 1024


def check_launcher(distributed: Distributed) -> None:
    """See that what `spec.distributed.launcher` names is installed.

    Raises:
        UserError: LauncherMissing.
    """
    if distributed.launcher == "deepspeed" and find_spec("deepspeed") is None:
        raise UserError(
            "LauncherMissing",
            "spec.distributed.launcher: deepspeed needs the package deepspeed, which is not installed here.",
            "Install it (pip install 'finetune-operator[deepspeed]'; on a cluster in the trainer image), or remove launcher: "
            "torchrun starts the same processes.",
        )


def check_output(settings: NodeSettings) -> None:
    """Create the output and its state folder, and write to it.

    Raises:
        UserError: OutputNotWritable or DiskFull, naming the folder.
    """
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(settings.output_dir) from error
        raise UserError(
            "OutputNotWritable",
            f"The output folder {settings.output_dir} cannot be written: {error.strerror}.",
            f"Let user {os.getuid()} write to it, or choose another folder.",
        ) from error
    space = os.statvfs(folder)
    if space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
        raise _full(settings.output_dir)


def check_master_port(settings: NodeSettings) -> None:
    """On node 0, see that the port of the rendezvous is free.

    Raises:
        UserError: PortInUse.
    """
    if settings.node_rank == 0 and not _is_free(settings.master_port):
        raise UserError(
            "PortInUse",
            f"Port {settings.master_port} of this machine, the port of the rendezvous, is in use.",
            "Set spec.distributed.masterPort to a free port.",
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _full(folder: Path) -> UserError:
    return UserError("DiskFull", f"The disk of the output folder {folder} is full.", "Free space, or choose a larger volume.")
