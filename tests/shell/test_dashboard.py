"""Every query of the dashboard has an answer, from a Prometheus that scraped the operator at work and a launcher's page."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart.rendered import CHART
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.progress_server import serve_progress
from finetune_api.contract import ExitCode
from finetune_trainer.launcher.progress_server import ProgressServer
from metrics.exposed import TRAINING
from metrics.prometheus import Prometheus, prometheus
from shell.jobs import Submit, message, training

DASHBOARD: dict[str, Any] = json.loads((CHART / "dashboards" / "finetune.json").read_text())
#: What Grafana puts in; all namespaces and pods are chosen.
VARIABLES = {"$__rate_interval": "60s", "$__range": "60s", "$namespace": ".*", "$pod": ".*"}


def _expressions() -> list[str]:
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


@pytest.fixture
def scraper(operator: object, operator_port: int, tmp_path: Path) -> Iterator[Prometheus]:
    """Scrapes the operator and a launcher."""
    launcher = ProgressServer("127.0.0.1", 0, lambda: TRAINING, time.monotonic)
    labels = {"namespace": "team", "pod": "a-0-0"}
    with prometheus(tmp_path, {operator_port: {"pod": "operator"}, launcher.port: labels}) as served:
        yield served


def _number(scraper: Prometheus, expression: str) -> str:
    series = scraper.query(expression)
    numbers = [value for each in series if math.isfinite(float(value := each["value"][1]))]
    assert numbers, f"{expression} gave {series}"
    return f"{len(series)} series, one is {numbers[0]}"


def test_every_query_has_an_answer(scraper: Prometheus, submit: Submit, kubelet: Kubelet):
    job = submit(nodes=1, run_policy={"maxRestarts": 1})
    (pod,) = kubelet.wait_for_pods(1)
    pod = kubelet.run(pod)
    steps = iter(range(100))
    with serve_progress(pod["status"]["podIP"], lambda: training(next(steps))):
        eventually(lambda: job.status().get("progress", {}).get("step", 0) > 0)
    kubelet.fail(pod, ExitCode.RETRYABLE, message=message(ExitCode.RETRYABLE, "Stalled"))
    kubelet.wait_for_pods(1, "a-1")
    for expression in _expressions():
        print(eventually(lambda expression=expression: _number(scraper, expression)), expression, sep="   ")
    for variable in DASHBOARD["templating"]["list"][1:]:
        query = variable["query"]["query"].replace("$namespace", ".*")
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match is not None and scraper.label_values(match[2], match[1]), query
