"""The operator's rights in docs/security.md are those of the chart."""

from __future__ import annotations

import re

from chart.rendered import CHART, Render

PAGE = CHART.parents[1] / "docs/security.md"
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
    section = PAGE.read_text().partition("## What the operator may do")[2].partition("\n## ")[0]
    told = {
        (group, resource, verb)
        for group, resources, verbs in ROW.findall(section)
        for resource in resources.split(", ")
        for verb in verbs.split(", ")
    }
    assert told == granted
