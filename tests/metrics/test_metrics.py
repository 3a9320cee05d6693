"""What is counted, and that docs/metrics.md tells of it."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from chart.rendered import CHART
from finetune_api.contract import Progress
from finetune_api.status import Condition, Failure, FineTuneJobStatus
from finetune_operator.shell.metrics import OTHER, REASONS, Metrics
from metrics.exposed import a_job, job_rows, operator_rows, state, training_rows
from metrics.programs import program

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
CREATED, NOW = 1_000.0, 1_100.0


def test_the_documentation_lists_every_metric_as_it_is():
    sections = re.split(r"^##+ ", PAGE, flags=re.MULTILINE)
    tables = {section.splitlines()[0]: re.findall(r"^\| `finetune.*$", section, re.MULTILINE) for section in sections}
    assert tables["Operator"] == operator_rows()
    assert tables["Series of single jobs"] == job_rows()
    assert tables["Training"] == training_rows()


def test_the_documentation_names_every_reason_and_alert():
    assert set(re.findall(r"`([A-Z]\w+)`", PAGE.split("`reason` is")[1].split("\n- ")[0])) == {*REASONS, OTHER}
    groups = yaml.safe_load((CHART / "alerts" / "finetune.yaml").read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert re.findall(r"^\| `(FineTune\w+)`", PAGE, re.MULTILINE) == alerts


def test_prometheus_takes_the_scrape_configuration_of_the_documentation(tmp_path: Path):
    (block,) = re.findall(r"^```yaml\n(scrape_configs:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    discovery = "kubernetes_sd_configs: [{role: pod}]"  # Debian's Prometheus is built without it.
    assert discovery in block
    (tmp_path / "prometheus.yaml").write_text(block.replace(discovery, "static_configs: []"))
    argv = [program("promtool"), "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"finetune_operator_{name}", labels)


def test_restarts_are_counted_by_reasons_of_which_there_are_few():
    metrics = Metrics()
    assert value(metrics.registry, "restarts_total", kind="restart", reason="Stalled") == 0  # Else the first would be no increase.
    before = FineTuneJobStatus(attempt=1, restarts=1)
    for restarts, preemptions, reason in ((2, 0, "Stalled"), (1, 1, "NodeLost"), (2, 0, "SaidByAnOwnTrainer")):
        failure = Failure(reason=reason)
        after = FineTuneJobStatus(attempt=2, restarts=restarts, preemptions=preemptions, last_failure=failure)
        metrics.written(CREATED, before, after, NOW)
    assert value(metrics.registry, "restarts_total", kind="restart", reason="Stalled") == 1
    assert value(metrics.registry, "restarts_total", kind="preemption", reason="NodeLost") == 1
    assert value(metrics.registry, "restarts_total", kind="restart", reason="Other") == 1


def test_the_start_of_a_job_is_timed_once():
    metrics = Metrics()
    stages = [
        FineTuneJobStatus(),
        FineTuneJobStatus(phase="Running"),
        FineTuneJobStatus(phase="Running", progress=Progress(phase="loading", step=0)),
        FineTuneJobStatus(phase="Running", progress=Progress(phase="training", step=1)),
        FineTuneJobStatus(phase="Running", progress=Progress(phase="training", step=2)),
        FineTuneJobStatus(phase="Restarting", attempt=1),
        FineTuneJobStatus(phase="Running", attempt=1, progress=Progress(attempt=1, phase="training", step=3)),
    ]
    for number, (old, new) in enumerate(pairwise(stages)):
        metrics.written(CREATED, old, new, CREATED + 10 * (number + 1))
    assert value(metrics.registry, "job_time_to_running_seconds_count") == 1
    assert value(metrics.registry, "job_time_to_running_seconds_sum") == 10
    assert value(metrics.registry, "job_time_to_first_step_seconds_count") == 1
    assert value(metrics.registry, "job_time_to_first_step_seconds_sum") == 30


def test_a_start_that_was_held_up_or_continues_an_earlier_run_is_not_timed():
    metrics = Metrics()
    suspended = Condition(type="Suspended", status="False", reason="NotSuspended", last_transition_time="2026-01-01T00:00:00Z")
    metrics.written(CREATED, FineTuneJobStatus(), FineTuneJobStatus(phase="Running", conditions=[suspended]), NOW)
    loading = FineTuneJobStatus(phase="Running", progress=Progress(phase="loading", step=40))
    metrics.written(CREATED, FineTuneJobStatus(phase="Running"), loading, NOW)
    training = FineTuneJobStatus(phase="Running", progress=Progress(phase="training", step=41))
    metrics.written(CREATED, loading, training, NOW)
    assert value(metrics.registry, "job_time_to_running_seconds_count") == 0
    assert value(metrics.registry, "job_time_to_first_step_seconds_count") == 0


def test_phases_without_jobs_are_zero_and_the_silent_job_is_seen():
    talking, silent = (a_job(name, progress={"updatedAt": at}) for name, at in (("a", 1_025.0), ("b", 1_000.0)))
    over = a_job("c", "Failed", progress={"updatedAt": 1.0})
    families = state([talking, silent, over, a_job("d")], 0, now=1_030.0)
    phases = {sample.labels["phase"]: sample.value for sample in families["finetune_operator_jobs"].samples}
    assert (phases["Running"], phases["Failed"], phases["Pending"]) == (3, 1, 0)
    (age,) = families["finetune_operator_progress_oldest_age_seconds"].samples
    assert age.value == 30.0


def test_series_of_single_jobs_are_bounded():
    jobs = [a_job(name, progress={"step": 3}) for name in "abc"] + [a_job("d", "Succeeded", progress={"step": 9})]
    families = state(jobs, 2)
    labels = [sample.labels for family in families.values() for sample in family.samples]
    assert {each["job_name"] for each in labels if "job_name" in each} == {"a", "b"}
    assert [sample.value for sample in families["finetune_operator_job_step"].samples] == [3, 3]
    assert families["finetune_operator_job_loss"].samples == []
    assert not any("job_name" in sample.labels for family in state(jobs, 0).values() for sample in family.samples)
