"""What the documentation says of the chart: its rights, and its values by name."""

from __future__ import annotations

import re

import yaml

from chart.rendered import CHART, Render

DOCS = CHART.parents[1] / "docs"
ROW = re.compile(r"^\| ([a-z.]+) \| ([a-z/, ]+) \| ([a-z, ]+) \| ", re.MULTILINE)


def test_the_table_of_rights_is_the_charts(render: Render):
    (role,) = (each for each in render() if each["kind"] == "ClusterRole" and "aggregate-to" not in str(each["metadata"]["labels"]))
    granted = {
        (group or "core", resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    section = (DOCS / "security.md").read_text().partition("## What the operator may do")[2].partition("\n## ")[0]
    told = {
        (group, resource, verb)
        for group, resources, verbs in ROW.findall(section)
        for resource in resources.split(", ")
        for verb in verbs.split(", ")
    }
    assert told == granted


def test_values_that_are_named_exist():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    spans = re.findall(r"`([a-z][A-Za-z.]*)(?::[^`]*)?`", (DOCS / "install.md").read_text())
    named = {span for span in spans if span.partition(".")[0] in values}
    assert len(named) > 15
    assert sorted(span for span in named if not _is_there(values, span)) == []


def _is_there(values: object, path: str) -> bool:
    name, _, below = path.partition(".")
    return isinstance(values, dict) and name in values and (not below or _is_there(values[name], below))
