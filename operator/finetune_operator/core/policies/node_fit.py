"""A request that no node of the cluster could ever satisfy deserves a word; nodes may still be added, so it is no refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from finetune_api.quantity import amount
from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.references import requests


def no_node_fits(spec: FineTuneJobSpec, nodes: Sequence[Mapping[str, str]] | None) -> str:
    """The word; empty if a node is large enough.

    Args:
        nodes: allocatable resources of each; None when they are not known.
    """
    wanted = {name: amount(asked) for name, asked in requests(spec).items()}
    if nodes is None or not wanted or any(_fits(wanted, node) for node in nodes):
        return ""
    asked = ", ".join(f"{name}: {quantity}" for name, quantity in requests(spec).items())
    most = ", ".join(f"{name}: {_most(name, nodes)}" for name in wanted)
    return (
        f"No node of the cluster could hold a pod of this job, even if it were empty: resources ask for {asked}; the most that a "
        f"node has is {most}. The pods wait until such a node is added."
    )


def _fits(wanted: Mapping[str, Fraction], node: Mapping[str, str]) -> bool:
    return all(asked <= amount(node.get(name, "0")) for name, asked in wanted.items())


def _most(name: str, nodes: Sequence[Mapping[str, str]]) -> str:
    return max((node.get(name, "0") for node in nodes), key=amount, default="0")
