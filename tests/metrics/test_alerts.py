"""The alert rules fire when they should and only then; cases are in finetune_alerts.yaml."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from chart.rendered import CHART
from metrics.exposed import job_rows, operator_rows
from metrics.programs import program

RULES = CHART / "alerts" / "finetune.yaml"
CASES = Path(__file__).parent / "finetune_alerts.yaml"


def _alerts() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_they_fire_when_they_should():
    done = subprocess.run([program("promtool"), "test", "rules", CASES.name], cwd=CASES.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    checks = [check for case in yaml.safe_load(CASES.read_text())["tests"] for check in case["alert_rule_test"]]
    names = {rule["alert"] for rule in _alerts()}
    assert names == {check["alertname"] for check in checks if check.get("exp_alerts")}
    assert names == {check["alertname"] for check in checks if not check.get("exp_alerts")}


def test_they_ask_for_metrics_that_there_are():
    known = set(re.findall(r"`(finetune_\w+)`", "".join([*operator_rows(), *job_rows()])))
    asked = {name for rule in _alerts() for name in re.findall(r"finetune_\w+", rule["expr"])}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= known
