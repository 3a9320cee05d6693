"""What `finetune chat` and `finetune export` are given: the result of a run, found again together with its base model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api import contract
from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob
from finetune_cli.local.cluster_only import require_inputs
from finetune_trainer.errors import UserError
from finetune_trainer.model.fetch import fetch_model
from finetune_trainer.model.files import check_files
from finetune_trainer.model.gguf import materialise_gguf
from finetune_trainer.prepared import LocalModel
from finetune_trainer.results.earlier_run import RUN_FILE, saved_step

Report = Callable[[str], None]

_ADAPTER = "adapter_model.safetensors"
_WHOLE = re.compile(r"model(-\d+-of-\d+)?\.safetensors")


@dataclass(frozen=True)
class Result:
    """An output folder with a finished result.

    Attributes:
        job: as resolved; None for a plain model folder (merged or exported), which needs none.
        adapter: the folder holds an adapter; otherwise it is a whole model.
    """

    folder: Path
    job: FineTuneJob | None
    adapter: bool

    @property
    def trust_remote_code(self) -> bool:
        """spec.model.trustRemoteCode of the run."""
        return self.job is not None and self.job.model.trust_remote_code

    def whole_model(self) -> LocalModel:
        """The folder itself as a model; also says where its tokenizer is."""
        return LocalModel(str(self.folder), None, str(self.folder))

    def base_model(self, mounts: Mapping[str, str], report: Report) -> LocalModel:
        """The model that an adapter belongs to.

        Args:
            mounts: override those that the run was started with.

        Raises:
            UserError: the base model is no longer where it was; says how to point to it.
        """
        if self.job is None:
            raise UserError("NotAnOutput", f"{self.folder} does not say what its base model is.")
        run = _read_run(self.folder)
        places = {**run.get("mounts", {}), **mounts}
        base = Path(run.get("job_dir", self.folder))
        try:
            local = fetch_model(self.job.model, places, base, report)
        except UserError as error:
            raise _moved(error, self.job.model.source) from error
        # A run on this machine has converted it already; folders that were fetched share one conversion.
        cache = self.folder / contract.STATE_DIR / "cache"
        return materialise_gguf(local, cache if run and _writable(self.folder) else user_cache(), report)


def find_result(folder: Path) -> Result:
    """The result in `folder`.

    Raises:
        UserError: NotAnOutput or RunUnfinished.
        SpecErrors: its finetunejob.yaml is broken.
    """
    if not folder.is_dir():
        raise UserError("NotAnOutput", f"There is no folder {folder}.", "Name the output folder of a run, for example runs/NAME.")
    names = {path.name for path in folder.iterdir()}
    resolved = folder / contract.RESOLVED_JOB_FILE
    job = load_job(resolved) if resolved.is_file() else None
    if _ADAPTER in names and job:
        return Result(folder, job, adapter=True)
    if any(_WHOLE.fullmatch(name) for name in names):
        check_files(folder, None)
        return Result(folder, job, adapter=False)
    if job or contract.STATE_DIR in names:
        step = saved_step(folder)
        stand = f"its newest checkpoint is of step {step}" if step is not None else "it has no checkpoint yet"
        raise UserError(
            "RunUnfinished",
            f"The run in {folder} has not finished: there is no result yet, {stand}.",
            f"Continue it: finetune run JOB.YAML --output {folder}",
        )
    if _ADAPTER in names:
        raise UserError("NotAnOutput", f"{folder} has an adapter, but no {resolved.name} that says what its base model is.")
    found = ", ".join(sorted(names)[:6]) or "nothing"
    raise UserError(
        "NotAnOutput",
        f"{folder} is not the output folder of a run.",
        f"Expected {resolved.name} with {_ADAPTER} or model.safetensors; found {found}.",
    )


def model_of_job(job_file: Path, mounts: Mapping[str, str], report: Report) -> tuple[FineTuneJob, LocalModel]:
    """A job, and its model as it is before training.

    Raises:
        SpecErrors, UserError
    """
    job = load_job(job_file)
    require_inputs(job)
    local = fetch_model(job.model, mounts, job_file.absolute().parent, report)
    return job, materialise_gguf(local, user_cache(), report)


def user_cache() -> Path:
    """Where this user's converted models are kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "finetune" / "models"


def _read_run(output: Path) -> dict[str, Any]:
    """What `finetune run` noted about the run (see local/folder.write_run); empty for a folder that comes from a cluster."""
    try:
        run: dict[str, Any] = json.loads((output / contract.STATE_DIR / RUN_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return run


def _writable(folder: Path) -> bool:
    state = folder / contract.STATE_DIR
    return state.is_dir() and os.access(state, os.W_OK)


def _moved(error: UserError, source: str) -> UserError:
    if error.reason not in ("ModelNotFound", "MountMissing"):
        return error
    scheme, _, rest = source.partition("://")
    message = f"The base model of this adapter is not where it was. {error.message}"
    if scheme == "pvc":
        return UserError("BaseModelMoved", message, f"Say where it is: --mount {rest.partition('/')[0]}=DIR.")
    if scheme == "file":
        hint = f"Move it back, or write its new place into spec.model.source in {contract.RESOLVED_JOB_FILE}."
        return UserError("BaseModelMoved", message, hint)
    return UserError(error.reason, message, error.hint)
