"""What the chart installs for Prometheus and Grafana, where it is asked to."""

from __future__ import annotations

import json
import re
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from chart.rendered import CHART, Render
from finetune_operator.shell.config import OperatorSettings
from render import cases

KINDS = {"PrometheusRule", "ConfigMap", "PodMonitor"}
PAGE = (CHART.parents[1] / "docs" / "metrics.md").read_text()
#: Examples of the page: how Prometheus scrapes training, and what lets it.
SCRAPE, POLICY = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def test_nothing_of_it_is_there_by_default(render: Render):
    assert KINDS.isdisjoint(each["kind"] for each in render())


def test_the_rules_are_those_that_promtool_tested(render: Render):
    rule = of_kind(render(metrics={"alerts": {"enabled": True, "labels": {"release": "prometheus"}}}), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((CHART / "alerts" / "finetune.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_the_dashboard_is_the_one_whose_queries_were_asked(render: Render):
    config_map = of_kind(render(metrics={"dashboard": {"enabled": True}}), "ConfigMap")
    kubernetes_validate.validate(config_map, "1.36", strict=True)
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    installed = json.loads(config_map["data"]["finetune.json"])
    assert installed == json.loads((CHART / "dashboards" / "finetune.json").read_text())


def test_training_is_scraped_as_the_page_says_for_a_prometheus_without_its_operator(render: Render):
    spec = of_kind(render(podMonitor={"jobs": True, "interval": "10s"}), "PodMonitor")["spec"]
    (endpoint,), (scrape,) = spec["podMetricsEndpoints"], SCRAPE["scrape_configs"]
    (rule,) = endpoint.pop("relabelings")
    assert {"source_labels": rule["sourceLabels"], "target_label": rule["targetLabel"]} in scrape["relabel_configs"]
    template = cases.attempt(cases.small())[2]["spec"]["template"]
    (port,) = template["spec"]["containers"][0]["ports"]
    assert endpoint == {"port": port["name"], "path": "/metrics", "interval": "10s"}
    (expression,) = spec["selector"]["matchExpressions"]
    assert expression["operator"] == "Exists" and expression["key"] in template["metadata"]["labels"]
    assert POLICY["spec"]["podSelector"] == spec["selector"]
    assert POLICY["spec"]["ingress"][1]["ports"] == [{"port": port["containerPort"]}]
    kubernetes_validate.validate(POLICY, "1.36", strict=True)


@pytest.mark.parametrize(("namespaces", "selected"), [([], {"any": True}), (["team-a"], {"matchNames": ["team-a"]})], ids=str)
def test_training_is_scraped_where_jobs_are_served(render: Render, namespaces: list[str], selected: dict[str, Any]):
    monitor = of_kind(render(podMonitor={"jobs": True}, watchNamespaces=namespaces), "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == selected


def test_the_operator_is_told_of_how_many_jobs_there_are_series(render: Render):
    for given, series in (({}, 0), ({"metrics": {"jobSeries": 50}}, 50)):
        (container,) = of_kind(render(**given), "Deployment")["spec"]["template"]["spec"]["containers"]
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        assert OperatorSettings.from_env(env).job_series == series


@pytest.mark.parametrize("metrics", [{"jobSeries": 1001}, {"alerts": True}, {"dashbord": {}}], ids=str)
def test_wrong_values_are_refused(render: Render, metrics: Any):
    with pytest.raises(helm_python.HelmValuesError):
        render(metrics=metrics)
