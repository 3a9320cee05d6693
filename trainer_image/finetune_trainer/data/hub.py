"""Data sets of the Hugging Face hub (or of what HF_ENDPOINT names), through the `datasets` library."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from finetune_api.spec import DataSource
from finetune_trainer.data.rows import Place, Row
from finetune_trainer.errors import SIGN_IN, UserError

#: Pauses between tries while the hub cannot be reached, in seconds.
RETRY_DELAYS = (1.0, 3.0, 10.0)
_BEAT_EVERY_S = 5.0


@dataclass(frozen=True)
class HubRows:
    """One split of a data set at one commit; a rows.Source. Downloaded when its rows are read."""

    repo: str
    commit: str
    subset: str | None
    split: str
    report: Callable[[str], None]

    @property
    def label(self) -> str:
        """The name of the data set."""
        return self.repo

    @property
    def digest(self) -> str:
        """Of the commit and the selection; the data itself need not be there."""
        return hashlib.sha256(f"{self.repo}@{self.commit} {self.subset} {self.split}".encode()).hexdigest()

    @property
    def names(self) -> list[str]:
        """One name: data set, commit, split."""
        subset = f" {self.subset}" if self.subset else ""
        return [f"hf://{self.repo}@{self.commit[:12]}{subset} {self.split}"]

    @property
    def total(self) -> int | None:
        """Not known before the download."""
        return None

    @property
    def notes(self) -> list[str]:
        """None."""
        return []

    def rows(self) -> Iterator[Row]:
        """All rows of the split.

        Raises:
            UserError: DatasetGated, DatasetNotFound, HubUnreachable, SplitNotFound, BadDataFile.
        """
        for number, value in enumerate(self._load()):
            yield Row(Place(self.names[0], 0, number), value)

    def _load(self) -> Any:
        import datasets

        try:
            with _explained(self.repo, None), _beating(self.report, f"downloading data set {self.repo}"):
                return datasets.load_dataset(self.repo, self.subset, split=self.split, revision=self.commit)
        except ValueError as exc:
            raise self._selection_error(exc) from exc
        except datasets.exceptions.DatasetNotFoundError as exc:  # The library drops the cause, and has only words for it.
            raise (_gated if "gated" in str(exc) else _missing)(self.repo) from exc
        except datasets.exceptions.DatasetGenerationError as exc:
            raise UserError("BadDataFile", f"hf://{self.repo}: {exc.__cause__ or exc}") from exc

    def _selection_error(self, exc: ValueError) -> UserError:
        """Names the subsets or splits that there are."""
        import datasets

        subsets = datasets.get_dataset_config_names(self.repo, revision=self.commit)
        if self.subset not in subsets and (self.subset or len(subsets) > 1):
            what = f"has no subset {self.subset!r}" if self.subset else "has several subsets"
            return UserError(
                "SplitNotFound", f"hf://{self.repo} {what}; it has: {', '.join(subsets)}.", "Set dataset.sources[].subset."
            )
        splits = datasets.get_dataset_split_names(self.repo, self.subset, revision=self.commit)
        if self.split not in splits:
            message = f"hf://{self.repo} has no split {self.split!r}; it has: {', '.join(splits)}."
            return UserError("SplitNotFound", message, "Set dataset.sources[].split.")
        return UserError("BadDataFile", f"hf://{self.repo}: {exc}")


def open_hub(source: DataSource, report: Callable[[str], None], retry_delays: Sequence[float] = RETRY_DELAYS) -> HubRows:
    """Find the commit that `source` means. The token is huggingface_hub's (HF_TOKEN).

    Raises:
        UserError: DatasetNotFound, RevisionNotFound, DatasetGated, HubTokenRefused, HubUnreachable.
    """
    from huggingface_hub import HfApi

    repo, _, revision = source.uri.removeprefix("hf://").partition("@")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    for delay in (*retry_delays, None):
        try:
            with _explained(repo, revision or None):
                commit = str(api.dataset_info(repo, revision=revision or None).sha)
            break
        except UserError as exc:
            if exc.reason != "HubUnreachable" or delay is None:
                raise
            report(f"{exc.message} Trying again in {delay:g} s.")
            time.sleep(delay)
    return HubRows(repo, commit, source.subset, source.split, report)


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """What the hub's refusals mean."""
    try:
        yield
    except Exception as exc:
        if error := _explain(exc, repo, revision):
            raise error from exc
        raise


def _explain(exc: BaseException, repo: str, revision: str | None) -> UserError | None:
    """The error for people, if `exc` or one of its causes comes from the hub."""
    import httpx2
    from huggingface_hub import errors

    place = _place()
    for cause in _causes(exc):
        if isinstance(cause, errors.GatedRepoError):
            return _gated(repo)
        if isinstance(cause, errors.RepositoryNotFoundError):
            return _missing(repo)
        if isinstance(cause, errors.RevisionNotFoundError):
            return UserError(
                "RevisionNotFound", f"hf://{repo} has no revision {revision!r}.", "Leave @REVISION out for the newest."
            )
        if isinstance(cause, errors.HfHubHTTPError):
            status = cause.response.status_code
            if status == 401:
                return UserError(
                    "HubTokenRefused", f"{place} does not accept the token for {repo}.", f"Make a new one and {SIGN_IN}."
                )
            return UserError("HubUnreachable", f"{place} answers with status {status} for {repo}.", "Try again later.")
        if isinstance(cause, httpx2.TransportError | errors.OfflineModeIsEnabled | ConnectionError):
            hint = "Check the network and HF_ENDPOINT, or download the data set elsewhere and use file:// or pvc://."
            return UserError("HubUnreachable", f"{repo}: the hub {place} cannot be reached ({cause}).", hint)
    return None


def _place() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _gated(repo: str) -> UserError:
    hint = f"Accept it at {_place()}/datasets/{repo} and {SIGN_IN} to a token of that account."
    return UserError("DatasetGated", f"hf://{repo} is gated: its owner asks you to accept a licence first.", hint)


def _missing(repo: str) -> UserError:
    hint = f"Check the spelling; if it is private, {SIGN_IN}."
    return UserError("DatasetNotFound", f"There is no data set {repo} on {_place()}.", hint)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """`exc`, and what it was raised from or during; the innermost first."""
    inner = exc.__cause__ or exc.__context__
    if inner is not None:
        yield from _causes(inner)
    yield exc


@contextmanager
def _beating(report: Callable[[str], None], line: str) -> Iterator[None]:
    """Repeats `line` while the library is busy and silent, as a sign of life."""
    done = threading.Event()

    def beat() -> None:
        report(line)
        while not done.wait(_BEAT_EVERY_S):
            report(line)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
