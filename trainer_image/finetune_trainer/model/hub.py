"""Fetch a model from the Hugging Face hub (or what HF_ENDPOINT names) into huggingface_hub's cache, and explain what goes wrong."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from finetune_trainer.errors import SIGN_IN, UserError
from finetune_trainer.model.files import CONFIG, check_files, needed_files, refuse_quantized
from finetune_trainer.model.progress import Report, progress_bar
from finetune_trainer.prepared import LocalModel
from finetune_trainer.upstream.hub_resume import resets_resumed

#: Pauses between tries while the hub cannot be reached, in seconds.
RETRY_DELAYS = (1.0, 3.0, 10.0, 30.0)


def fetch_from_hub(
    repo: str,
    revision: str | None,
    gguf_file: str | None,
    trust_remote_code: bool,
    report: Report,
    retry_delays: Sequence[float] = RETRY_DELAYS,
) -> LocalModel:
    """Bring the needed files of `repo` into the cache and return their folder. Files that are there already are not fetched again.

    A broken connection is continued where it broke; a file that was under way when the process died starts again. When the hub
    cannot be reached, a complete copy in the cache is used, with a warning. The token is huggingface_hub's (HF_TOKEN).

    Raises:
        UserError: ModelNotFound, RevisionNotFound, ModelGated, HubTokenRefused, HubUnreachable, HubRefused, ModelUnsupported.
    """
    hub = _Hub(repo, revision, gguf_file, trust_remote_code, report)
    for delay in (*retry_delays, None):
        try:
            with hub.errors_explained():
                return hub.download()
        except _UnreachableError as error:
            cached = hub.from_cache()
            if cached:
                report(f"warning: {error}; using the copy of {repo} in the local cache (commit {cached.revision})")
                return cached
            if delay is None or error.offline:
                hint = "Check the network and HF_ENDPOINT, or download it elsewhere and use file:// or pvc://."
                raise UserError("HubUnreachable", f"{repo}: {error}; it is not in the local cache either.", hint) from error
            report(f"{error}; trying again in {delay:g} s")
            time.sleep(delay)
    raise AssertionError("the last try returns or raises")


class _UnreachableError(Exception):
    def __init__(self, message: str, offline: bool) -> None:
        super().__init__(message)
        self.offline = offline


class _Hub:
    """One repository at one revision."""

    def __init__(self, repo: str, revision: str | None, gguf_file: str | None, trust_remote_code: bool, report: Report) -> None:
        from huggingface_hub import HfApi

        self.repo, self.revision, self.gguf_file, self.trust_remote_code = repo, revision, gguf_file, trust_remote_code
        self.report = report
        # huggingface_hub reads these when it is imported, which may have been before the job's environment was set.
        self.endpoint, self.cache = os.environ.get("HF_ENDPOINT"), os.environ.get("HF_HUB_CACHE")
        self.api = HfApi(endpoint=self.endpoint)

    def download(self) -> LocalModel:
        from huggingface_hub import snapshot_download, try_to_load_from_cache

        # Unlike the listing of the tree, this call is not tried again for half a minute when there is no network.
        info = self.api.model_info(self.repo, revision=self.revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        needed = needed_files(sizes, self.gguf_file, self.trust_remote_code, f"hf://{self.repo}")
        with resets_resumed():
            self._refuse_by_config(info.sha, needed)
        here = [n for n in needed if isinstance(try_to_load_from_cache(self.repo, n, self.cache, info.sha), str)]
        total, done = sum(sizes[n] for n in needed), sum(sizes[n] for n in here)
        with resets_resumed():
            folder = snapshot_download(
                self.repo,
                revision=self.revision,
                allow_patterns=needed,
                cache_dir=self.cache,
                endpoint=self.endpoint,
                tqdm_class=progress_bar("downloading model", total, done, self.report),
            )
        check_files(Path(folder), self.gguf_file)
        return self._local(folder)

    def _refuse_by_config(self, commit: str, needed: list[str]) -> None:
        """Before the weights are fetched."""
        from huggingface_hub import hf_hub_download

        if CONFIG in needed:
            path = hf_hub_download(self.repo, CONFIG, revision=commit, cache_dir=self.cache, endpoint=self.endpoint)
            refuse_quantized(json.loads(Path(path).read_text()), f"hf://{self.repo}")

    def from_cache(self) -> LocalModel | None:
        """The copy in the cache, if it is complete."""
        from huggingface_hub import get_cached_repo_tree, snapshot_download
        from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

        where: dict[str, Any] = {"revision": self.revision, "cache_dir": self.cache}
        try:
            folder = snapshot_download(self.repo, local_files_only=True, allow_patterns=[], **where)
            try:
                names = [file.path for file in get_cached_repo_tree(self.repo, **where)]
            except CachedRepoTreeNotFoundError:  # Filled by an older huggingface_hub, or by hand.
                names = [p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()]
            needed = needed_files(names, self.gguf_file, self.trust_remote_code, self.repo)
            if any(not (Path(folder) / name).is_file() for name in needed):
                return None
            check_files(Path(folder), self.gguf_file)
        except (LocalEntryNotFoundError, UserError):
            return None
        return self._local(folder)

    def _local(self, folder: str) -> LocalModel:
        return LocalModel(folder=folder, gguf_file=self.gguf_file, origin=self.repo, revision=Path(folder).name)

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        import httpx2
        from huggingface_hub import errors

        place = self.endpoint or "https://huggingface.co"
        try:
            yield
        except errors.GatedRepoError as error:
            raise UserError(
                "ModelGated",
                f"{self.repo} is gated: its owner asks you to accept a licence first.",
                f"Accept it at {place}/{self.repo} and {SIGN_IN} to a token of that account.",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise UserError("ModelNotFound", f"There is no model {self.repo} on {place}.", self._nearest_repo()) from error
        except errors.RevisionNotFoundError as error:
            raise UserError(
                "RevisionNotFound", f"{self.repo} has no revision {self.revision!r}.", self._nearest_revision()
            ) from error
        except errors.OfflineModeIsEnabled as error:
            raise _UnreachableError("the hub is switched off (HF_HUB_OFFLINE)", offline=True) from error
        except errors.HfHubHTTPError as error:
            raise self._refused(error, place) from error
        except (httpx2.TransportError, errors.LocalEntryNotFoundError, errors.RevisionResolutionError) as error:
            offline = isinstance(error.__cause__, errors.OfflineModeIsEnabled)
            raise _UnreachableError(f"the hub {place} cannot be reached ({_why(error)})", offline) from error

    def _refused(self, error: Any, place: str) -> Exception:
        status = error.response.status_code
        if status == 401:
            hint = f"Make a new one at its settings page and {SIGN_IN}." if _has_token() else f"You may have to {SIGN_IN}."
            return UserError("HubTokenRefused", f"{place} does not accept the token for {self.repo}.", hint)
        if status == 429 or status >= 500:
            return _UnreachableError(f"the hub {place} answers with status {status}", offline=False)
        return UserError("HubRefused", f"{place} refuses access to {self.repo}: {error.server_message or f'status {status}'}.")

    def _nearest_repo(self) -> str:
        owner, _, name = self.repo.partition("/")
        with suppress(Exception):  # Only advice.
            names = {model.id.partition("/")[2]: model.id for model in self.api.list_models(author=owner, limit=200)}
            near = get_close_matches(name, names, 1)
            if near:
                return f"Did you mean hf://{names[near[0]]}?"
        return "Check the spelling." if _has_token() else f"Check the spelling; if it is private, {SIGN_IN}."

    def _nearest_revision(self) -> str:
        with suppress(Exception):  # Only advice.
            refs = self.api.list_repo_refs(self.repo)
            names = [ref.name for ref in (*refs.branches, *refs.tags)]
            near = get_close_matches(self.revision or "", names, 3, 0.4) or names[:5]
            return f"It has: {', '.join(near)}."
        return "Leave @REVISION out for the newest one."


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _why(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
