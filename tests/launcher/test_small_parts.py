"""The launcher's parts that need no process."""

import io
import json
import os
import sys
import time

import pytest

from finetune_api.contract import ExitCode, Progress, TerminationMessage
from finetune_api.load import load_job
from finetune_api.spec import Distributed
from finetune_trainer.errors import UserError
from finetune_trainer.heartbeat import Beat
from finetune_trainer.launcher import cgroup, checks, progress, stop, termination, warm
from finetune_trainer.launcher.prefix import PrefixedLines
from finetune_trainer.settings import NodeSettings


def test_a_termination_message_fits_and_stays_json(tmp_path):
    message = TerminationMessage(exit_code=ExitCode.RETRYABLE, reason="RankFailed", message="ä" * 9000, node_rank=1, rank=9)
    text = termination.encode(message)
    assert len(text.encode()) <= 4096
    read = json.loads(text)
    assert read["rank"] == 9 and read["message"].startswith("ää") and read["message"].endswith(" ...")


def test_where_training_stood_fits_as_well():
    stood = Progress(phase="failed", step=10**9, total_steps=10**9, loss=1.2345678901234567, updated_at=time.time())
    message = TerminationMessage(exit_code=75, reason="RankFailed", message="\u00e4\n" * 3000, progress=stood)
    read = TerminationMessage.model_validate_json(termination.encode(message))
    assert (
        len(termination.encode(message).encode()) <= 4096 and read.progress == stood and read.message.startswith("\u00e4\n\u00e4")
    )


def test_a_termination_log_that_cannot_be_written_is_ignored(tmp_path):
    termination.write(tmp_path / "absent" / "log", TerminationMessage(exit_code=75, reason="X", message="y"))


def test_progress_is_the_newest_heartbeat_in_the_contracts_words():
    own = Progress(phase="waiting", message="for others", attempt=3, updated_at=1.0)
    assert progress.merge(own, None, 100.0, 50.0) == own
    merged = progress.merge(own, Beat(48.0, "training", {"step": 4, "total_steps": 9, "loss": float("nan")}), 100.0, 50.0)
    assert (merged.phase, merged.step, merged.attempt, merged.updated_at) == ("training", 4, 3, 98.0)
    assert json.loads(merged.model_dump_json(by_alias=True))["loss"] is None, "NaN is no JSON"


def test_metrics_leave_out_what_is_not_known():
    text = progress.metrics(Progress(phase="training", step=4, tokens_per_second=12.5)).decode()
    assert "finetune_training_step 4.0" in text and "finetune_training_tokens_per_second 12.5" in text
    assert 'finetune_training_phase{phase="training"} 1.0' in text and "finetune_training_loss" not in text


def test_two_signals_of_one_ctrl_c_are_one_request(monkeypatch):
    asked, now = stop.Stop(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    asked.signalled()
    now[0] += 0.3
    asked.signalled()
    assert asked.requested and not asked.at_once
    now[0] += 1.0
    asked.signalled()
    assert asked.at_once


def test_a_signal_after_a_peers_wish_to_stop_is_the_first():
    asked = stop.Stop()
    asked.request()
    asked.requested_at -= 60
    asked.signalled()
    assert not asked.at_once


def test_lines_of_a_rank_come_whole_and_marked():
    below = io.StringIO()
    stream = PrefixedLines(below, "[rank 3] ")
    stream.write("half a ")
    assert below.getvalue() == ""
    stream.write("line\nand another\nrest")
    assert below.getvalue() == "[rank 3] half a line\n[rank 3] and another\n"


def test_cpus_are_those_of_the_container(tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000")
    assert cgroup.available_cpus(tmp_path) == min(2, len(os.sched_getaffinity(0)))
    (tmp_path / "cpu.max").write_text("max 100000")
    assert cgroup.available_cpus(tmp_path) == len(os.sched_getaffinity(0))


def test_cpus_are_those_of_the_container_with_version_1_of_cgroups(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000")
    assert cgroup.available_cpus(tmp_path) == 1
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert cgroup.available_cpus(tmp_path) == len(os.sched_getaffinity(0))


def test_kills_for_memory_are_counted(tmp_path):
    assert cgroup.oom_kills(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert cgroup.oom_kills(tmp_path) == 1
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert cgroup.oom_kills(tmp_path) == 2


def job(tmp_path, **training):
    spec = {
        "model": {"source": "file:///m"},
        "dataset": {"sources": [{"uri": "file:///d.jsonl", "format": "alpaca"}]},
        "training": {"maxSteps": 1, **training},
        "trainer": {"env": [{"name": "OMP_NUM_THREADS", "value": "7"}]},
    }
    path = tmp_path / "job.yaml"
    path.write_text(
        json.dumps({"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "j"}, "spec": spec})
    )
    return load_job(path)


def test_the_jobs_environment_comes_before_defaults_and_defaults_after_the_machines(tmp_path):
    """What is set already stays: whoever starts a launcher has set the job's own, on a cluster with $(NAME) filled in."""
    settings = NodeSettings.from_env({})
    assert warm.rank_environment(job(tmp_path), settings, {"OMP_NUM_THREADS": "3", "TOKENIZERS_PARALLELISM": "true"}) == {}
    env = warm.rank_environment(job(tmp_path), settings, {"TOKENIZERS_PARALLELISM": "true"})
    assert env == {"OMP_NUM_THREADS": "7"}


def settings_for(folder):
    return NodeSettings.from_env({"FINETUNE_OUTPUT_DIR": str(folder)})


def test_a_launcher_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    checks.check_launcher(Distributed(launcher="accelerate"))
    with pytest.raises(UserError, match="needs the package deepspeed") as refused:
        checks.check_launcher(Distributed(launcher="deepspeed"))
    assert "pip install 'finetune-operator[deepspeed]'" in refused.value.hint


def test_a_full_disk_is_refused_before_anything_starts(small_disk):
    output = small_disk(1) / "out"
    with pytest.raises(UserError) as refused:
        checks.check_output(settings_for(output))
    assert refused.value.reason == "DiskFull" and str(output) in refused.value.message


def test_a_read_only_output_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be written") as refused:
        checks.check_output(settings_for("/proc/finetune"))
    assert refused.value.reason == "OutputNotWritable"


def test_an_output_folder_is_created_and_left_clean(tmp_path):
    checks.check_output(settings_for(tmp_path / "a" / "b"))
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [".finetune"]
    assert not list((tmp_path / "a" / "b" / ".finetune").iterdir())
