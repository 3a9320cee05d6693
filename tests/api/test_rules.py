"""The two texts of each rule, CEL and Python, say the same about every job."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import celpy
import pytest
from celpy import celtypes
from kubernetes.utils.quantity import parse_quantity

from api.bad_specs import BAD, BAD_ON_A_CLUSTER, GOOD, GOOD_CHANGES
from finetune_api.json_schema import Schema, node_at
from finetune_api.load import _check, _without_nulls
from finetune_api.overrides import apply_overrides, parse_path
from finetune_api.problems import dotted
from finetune_api.rule_check import _nodes
from finetune_api.rules import FORMAT_COLUMNS, RULES
from finetune_api.spec import Columns, FineTuneJob


def compared(one: Decimal, other: Decimal) -> celtypes.IntType:
    return celtypes.IntType((one > other) - (one < other))


#: What the API server adds to CEL, here by the Kubernetes client's own arithmetic.
LIBRARY = {"quantity": parse_quantity, "compareTo": compared}


@cache
def program(cel: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(cel), functions=LIBRARY)


@cache
def cel_holds(cel: str, value: str, schema_at: str) -> bool:
    """Whether the rule holds for the object (as JSON); remembered, because most jobs share most of their parts."""
    return bool(program(cel).evaluate({"self": cel_value(json.loads(value), node_at(parse_path(schema_at)))}))


def cel_value(value: Any, schema: Schema | Literal[True]) -> Any:
    """Data as the API server hands it to CEL: typed by the schema, so that a number field is a double also where JSON says 1."""
    if schema is True or "type" not in schema:
        return celpy.json_to_cel(value)
    kind = schema["type"]
    if kind == "object":
        children, rest = schema.get("properties", {}), schema.get("additionalProperties")
        return celtypes.MapType({celtypes.StringType(k): cel_value(v, children.get(k, rest)) for k, v in value.items()})
    if kind == "array":
        return celtypes.ListType([cel_value(item, schema["items"]) for item in value])
    types = {
        "number": celtypes.DoubleType,
        "integer": celtypes.IntType,
        "boolean": celtypes.BoolType,
        "string": celtypes.StringType,
    }
    return types[kind](value)


def verdicts(job: FineTuneJob) -> dict[tuple[str, str], tuple[bool, bool]]:
    """(rule, place) -> (CEL holds, Python holds)."""
    found = {}
    for rule in RULES:
        for at in rule.at:
            for keys, node in _nodes(job, at):
                value = node.model_dump_json(by_alias=True, exclude_none=True)
                found[rule.name, str(keys)] = (cel_holds(rule.cel, value, dotted(keys)), rule.check(node))
    return found


def model(changes: list[str]) -> FineTuneJob | None:
    """The job, or None if a field is wrong in itself or the changes do not fit on each other."""
    data, _, problems = apply_overrides(GOOD, changes)
    try:
        return None if problems else FineTuneJob.model_validate(_without_nulls(data), by_alias=True, by_name=False)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def jobs() -> list[FineTuneJob]:
    """The good jobs, the bad ones whose single fields are right, and random mixtures of both."""
    bad = [bad.changes.split(" & ") for bad in [*BAD, *BAD_ON_A_CLUSTER]]
    single = [change for change in [*GOOD_CHANGES.values(), *bad] if model(change)]
    dice = random.Random(7)
    mixed = [[*dice.choice(single), *dice.choice(single), *dice.choice(single)] for _ in range(100)]
    return [job for change in single + mixed if (job := model(change))]


def test_cel_and_python_agree(jobs: list[FineTuneJob]):
    assert len(jobs) > 100
    for job in jobs:
        for place, (cel, python) in verdicts(job).items():
            assert cel == python, (place, job.to_manifest())


def test_each_rule_refuses_something_and_lets_something_pass(jobs: list[FineTuneJob]):
    seen: dict[str, set[bool]] = {}
    for job in jobs:
        for (name, _), (cel, _) in verdicts(job).items():
            seen.setdefault(name, set()).add(cel)
    assert {rule.name: seen.get(rule.name) for rule in RULES} == {rule.name: {True, False} for rule in RULES}


def test_bad_specs_are_refused_by_exactly_one_rule_or_field():
    for bad in BAD:
        _, problems, _ = _check(_without_nulls(bad.data))
        assert len(problems) == 1 or bad.path in ("apiVersion", "kind"), bad


def test_names_and_messages():
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.message.endswith(".") and rule.hint.endswith(".") and len(rule.message + rule.hint) < 2000


def test_every_column_belongs_to_a_format():
    assert {column for columns in FORMAT_COLUMNS.values() for column in columns} == set(Columns.model_fields)
