"""Run the ranks of a job as the launcher does (torch's elastic agent, a warm forkserver), but many jobs after each other.

Starting a launcher for each of the parity suite's two dozen jobs would take most of its time; the whole way through launcher and
`finetune run` is tested elsewhere.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import yaml

from finetune_api.load import load_job
from finetune_trainer import fence
from finetune_trainer.data.choice import apply_template_choice
from finetune_trainer.data.prepare import prepare_data
from finetune_trainer.fence import Token
from finetune_trainer.model.fetch import fetch_model
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import Prepared
from finetune_trainer.rank.task import RankTask
from finetune_trainer.strategies.own_config import read_configuration

_PRELOAD = ["torch", "peft", "finetune_trainer.rank.job", "transformers.models.llama.modeling_llama"]


def job(model: Path, data: Path, training: Mapping[str, Any], **groups: Mapping[str, Any]) -> dict[str, Any]:
    """A FineTuneJob; `groups` are further parts of its spec, dataset settings among them."""
    dataset = {"sources": [{"uri": f"file://{data}", "format": "alpaca"}], "maxLength": 96, **groups.pop("dataset", {})}
    fixed = {"precision": "fp32", "gradientCheckpointing": False, "loggingSteps": 1}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "gang"},
        "spec": {"model": {"source": f"file://{model}"}, "dataset": dataset, "training": fixed | dict(training), **groups},
    }


def write_alpaca(path: Path, samples: int) -> Path:
    """`samples` instruction pairs of very different lengths, so that ranks have different numbers of supervised tokens."""
    lines = []
    for number in range(samples):
        answer = " ".join(f"word{number * 7 % 13} is number {word}" for word in range(1 + number * number % 7))
        lines.append(json.dumps({"instruction": f"What is {number}?" + " Say more." * (number % 4), "output": answer}))
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class Ran:
    """What a gang left behind: the log's lines with a loss, exit codes of failed ranks by rank, and what rank 0 printed."""

    output: Path
    lines: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    failed: dict[int, int]
    said: str = ""


def run(content: Mapping[str, Any], output: Path, ranks: int, mounts: Mapping[str, str] | None = None) -> Ran:
    """Prepare and train; raises with the first failure's traceback when a rank fails. `mounts`: see finetune_trainer.mounts."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from finetune_trainer.launcher.rank_process import enter

    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    forkserver.set_forkserver_preload(_PRELOAD)
    state = output / ".finetune"
    state.mkdir(parents=True, exist_ok=True)
    job_file, prepared_file = output / "job.yaml", state / "prepared.json"
    job_file.write_text(yaml.safe_dump(dict(content)))
    loaded = load_job(job_file)
    model = fetch_model(loaded.model, {}, output, print)
    tokenizer = load_tokenizer(model, False)
    apply_template_choice(tokenizer, loaded.dataset.chat_template)
    data = prepare_data(loaded, tokenizer, {}, output, state / "cache", print)
    configuration = read_configuration(loaded, mounts or {}, output)
    Prepared(model, str(data.folder), data.counts, data.warnings, configuration).write(prepared_file)
    newest = fence.newest(state)
    token = Token(0, newest.attempt + 1 if newest else 0, "test")
    fence.claim(state, 0, token)
    scratch = Path(tempfile.mkdtemp())
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        rdzv_backend="static",
        rdzv_endpoint=f"127.0.0.1:{_free_port()}",
        rdzv_configs={"rank": 0, "timeout": 60},
        start_method="forkserver",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(str(scratch / "logs"), redirects=Std.OUT),
        monitor_interval=0.05,
    )
    task = RankTask(str(job_file), str(output), str(prepared_file), str(scratch), token, 0, os.getpid())
    failed: dict[int, int] = {}
    try:
        elastic_launch(config, enter)("finetune_trainer.rank.train:run_rank", task)
    except ChildFailedError as error:
        failed = {rank: failure.exitcode for rank, failure in error.failures.items()}
        records = [json.loads(path.read_text()) for path in scratch.glob("failure-*.json")]
        if records:
            raise RuntimeError(min(records, key=lambda record: record["time"])["traceback"]) from error
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text().splitlines()]
    said = "".join(path.read_text() for path in scratch.glob("logs/*/attempt_0/0/stdout.log"))
    print(said)
    return Ran(output, [x for x in lines if "loss" in x], [x for x in lines if "eval_loss" in x], failed, said)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
