"""Which rules a job breaks."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from typing import Any

from finetune_api.affinity import affinity_problems
from finetune_api.extra_args import extra_args_problems
from finetune_api.own_config import inline_problems
from finetune_api.part import Part
from finetune_api.problems import Problem, dotted
from finetune_api.rules import RULES
from finetune_api.spec import FineTuneJob
from finetune_api.yaml_reader import Keys


def rule_problems(job: FineTuneJob, unsure: Collection[Keys] = (), cluster: bool = False) -> list[Problem]:
    """Every rule that the job breaks, also about extraArgs, own configurations and affinity (without lines).

    Args:
        unsure: fields whose values were replaced because they were wrong in themselves; rules that read them are left out.
        cluster: include the rules that must hold on a cluster only.
    """
    found = []
    nodes = functools.cache(lambda at: tuple(_nodes(job, at)))
    for rule in RULES:
        if rule.cluster and not cluster:
            continue
        for at in rule.at:
            for keys, node in nodes(at):
                reads = [(*keys, *filter(None, read.split("."))) for read in rule.reads]
                if not any(related(read, field) for read in reads for field in unsure) and not rule.check(node):
                    found.append(Problem(dotted(reads[0]), rule.message, rule.hint))
    return [
        *found,
        *extra_args_problems(job.spec.training.extra_args),
        *inline_problems(job.spec),
        *affinity_problems(job.spec.pod_template.spec.affinity),
    ]


def _nodes(job: FineTuneJob, at: str) -> Iterator[tuple[Keys, Any]]:
    """The objects at a dotted path; [] branches into the entries of a list."""
    nodes: list[tuple[Keys, Any]] = [((), job)]
    for name in at.split("."):
        nodes = [((*keys, name.removesuffix("[]")), _attribute(node, name.removesuffix("[]"))) for keys, node in nodes]
        nodes = [(keys, node) for keys, node in nodes if node is not None]
        if name.endswith("[]"):
            nodes = [((*keys, index), item) for keys, node in nodes for index, item in enumerate(node)]
    yield from nodes


def _attribute(node: Part, alias: str) -> Any:
    return next(getattr(node, name) for name, field in type(node).model_fields.items() if field.alias == alias)


def related(one: Keys, other: Keys) -> bool:
    """One path leads to or into the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
