"""`python -m cluster`: the cluster of the end-to-end tests and of `make demo`, by hand."""

from __future__ import annotations

import argparse
import sys
import time

from cluster import images
from cluster.engine import engine_state
from cluster.folders import cache, delete_cached, state
from cluster.lacks import Lacking
from cluster.lifecycle import GIVEN, Cluster, down, up
from cluster.prepared import engine as prepared_engine

_START = time.monotonic()
_EPILOG = f"""
examples:
  eval "$(python -m cluster up)"      then kubectl uses it
  python -m cluster images            operator and trainer of this checkout, in the cluster

With a Docker engine, kind is used as it is. Without one, on a Debian machine, root is needed: an engine is started in namespaces
of its own, and node images are built from Debian packages and Go modules, about 12 minutes the first time and 30 seconds later.

variables:
  FINETUNE_CACHE            what is made once, and the state; default: finetune-operator in the user's cache folder
  PIP_FIND_LINKS            folders with wheels to build the trainer's image with, such as PyTorch without CUDA
  {GIVEN}  kubeconfig of another cluster, to use instead of making one
"""


def main() -> int:
    """Run one command. Exit codes: 0 done, 2 this machine lacks something."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="make the cluster, or find it as it was left; prints lines for your shell")
    commands.add_parser("images", help="up, then build this checkout's images and load them")
    commands.add_parser("status", help="say what is there")
    commands.add_parser("down", help="remove the cluster and all that was started for it; what is cached stays")
    commands.add_parser("clean", help="down, then delete all that is cached (about 12 GB)")
    command = parser.parse_args().command
    try:
        if command == "up":
            print(_shell_lines(up(_progress)))
        elif command == "images":
            cluster = up(_progress)
            print(images.operator_image(cluster))
            print(images.trainer_image(cluster))
        elif command == "status":
            print(_status())
        else:
            down(_progress)
            if command == "clean":
                delete_cached()
    except Lacking as lacking:
        print(lacking, file=sys.stderr)
        return 2
    return 0


def _progress(line: str) -> None:
    print(f"[{time.monotonic() - _START:4.0f} s] {line}", file=sys.stderr, flush=True)


def _shell_lines(cluster: Cluster) -> str:
    lines = [f"export KUBECONFIG={cluster.kubeconfig}", f"export PATH={cluster.binaries}:$PATH"]
    if cluster.docker is not None and cluster.docker.prepared:
        lines.append(f"export DOCKER_HOST={cluster.docker.environment['DOCKER_HOST']}")
    return "\n".join(lines)


def _status() -> str:
    made = (state() / "cluster.json").exists()
    return "\n".join(
        [
            f"cluster   {'made; kubeconfig ' + str(state() / 'kubeconfig') if made else 'none'}",
            f"engine    {'prepared by this project, running' if prepared_engine.runs(engine_state()) else 'none of this project'}",
            f"cache     {cache()}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
