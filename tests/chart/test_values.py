"""Values: which there are, which are refused and in what words, and that each takes effect."""

from __future__ import annotations

import json
from typing import Any

import helm_python
import pytest
import yaml

from chart.rendered import CHART, VALUES, Render
from chart.wrong_values import WRONG


def paths(value: Any, path: str = "") -> set[str]:
    """Of all leaves of a value file, with dots."""
    if not isinstance(value, dict) or not value:
        return {path}
    return {found for key, each in value.items() for found in paths(each, f"{path}.{key}".lstrip("."))}


def schema_paths(schema: dict[str, Any], path: str = "") -> set[str]:
    """Of everything that the schema names itself."""
    if "properties" not in schema:
        return {path}
    return {found for key, each in schema["properties"].items() for found in schema_paths(each, f"{path}.{key}".lstrip("."))}


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values) for values, _ in WRONG])
def test_wrong_values_are_refused(render: Render, values: dict[str, Any], words: str):
    with pytest.raises((helm_python.HelmValuesError, helm_python.HelmRenderError)) as refused:
        render(**values)
    assert words in str(refused.value)


def test_the_schema_knows_every_value_and_no_other():
    """Of resources and affinity, whose parts Kubernetes has named, the parts are not values of their own."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    parts = {"resources", "affinity"}

    def shortened(found: set[str]) -> set[str]:
        whole = {path.split(".")[0] if path.split(".")[0] in parts else path for path in found}
        return {path.partition(".labels.")[0] + ".labels" if ".labels." in path else path for path in whole}

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert shortened(schema_paths(schema)) == shortened(paths(values)) | {"global"}


def test_each_value_takes_effect(render: Render):
    """Given alone, each value of the file that changes all of them changes what is installed."""
    switches = {"networkPolicy": {"enabled": True}, "podMonitor": {"enabled": True}}
    before = {name: render(**({name: switches[name]} if name in switches else {})) for name in (*switches, "")}
    every = yaml.safe_load((VALUES / "every-value.yaml").read_text())
    assert every.keys() == yaml.safe_load((CHART / "values.yaml").read_text()).keys()
    for name, value in every.items():
        nested = isinstance(value, dict) and name in {
            "trainer",
            "networkPolicy",
            "podMonitor",
            "podDisruptionBudget",
            "metrics",
            "crd",
            "rbac",
        }
        for key in [key for key in value if key != "enabled"] if nested else [None]:
            given = value if key is None else {**switches.get(name, {}), key: value[key]}
            assert render(**{name: given}) != before.get(name, before[""]), (name, key)
