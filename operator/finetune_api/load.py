"""Read job files: YAML, overrides, fields, rules, and every problem at once."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune_api import spec
from finetune_api.field_errors import data_path, field_problem, shown
from finetune_api.known_names import meant
from finetune_api.overrides import apply_overrides, parse_path
from finetune_api.problems import Problem, SpecErrors, nearest
from finetune_api.rule_check import related, rule_problems
from finetune_api.yaml_reader import Document, Keys, YamlError, read_documents

__all__ = ["Checked", "Problem", "SpecErrors", "check_document", "check_file", "load_job"]


_EXTRA_ARGS = ("spec", "training", "extraArgs")


@dataclass(frozen=True)
class Checked:
    """What became of one document.

    Attributes:
        name: metadata.name, or a word for what the document is.
        job: the job, if it has no problem.
        problems: everything wrong with it.
        cluster_problems: what a cluster would refuse besides; a local run does without it.
        skipped: another kind of object, which is none of our business.
        extra_args: names in spec.training.extraArgs -> line, for the check that needs to know TrainingArguments.
    """

    name: str
    job: spec.FineTuneJob | None
    problems: list[Problem]
    cluster_problems: list[Problem] = field(default_factory=list)
    skipped: bool = False
    extra_args: dict[str, int | None] = field(default_factory=dict)


def load_job(path: Path, overrides: Sequence[str] = ()) -> spec.FineTuneJob:
    """The one FineTuneJob in a file; other kinds of objects beside it are passed over.

    Args:
        overrides: PATH=VALUE each, see overrides.py.

    Raises:
        SpecErrors: with everything that is wrong.
    """
    checked = [document for document in check_file(path, overrides) if not document.skipped]
    problems = [problem for document in checked for problem in document.problems]
    if not problems and len(checked) != 1:
        names = ", ".join(document.name for document in checked)
        found = f"holds {len(checked)} FineTuneJobs: {names}." if checked else "holds no FineTuneJob."
        problems = [Problem("", found, "This needs a file with one.")]
    if problems:
        raise SpecErrors(str(path), problems)
    (job,) = (document.job for document in checked if document.job)
    return job


def check_file(path: Path, overrides: Sequence[str] = ()) -> list[Checked]:
    """Every document of a file. A file that cannot be read at all is one document with one problem; never empty, never raises."""
    try:
        documents = read_documents(_text(path))
    except YamlError as error:
        return [_unreadable(error.problem)]
    if not documents:
        return [_unreadable(Problem("", "is empty.", "`finetune init` writes a job to start from."))]
    return [check_document(document, overrides, alone=len(documents) == 1) for document in documents]


def check_document(document: Document, overrides: Sequence[str] = (), alone: bool = True) -> Checked:
    """One document: overrides, header, fields, rules.

    Args:
        alone: it is the only one of its file, so it must be a FineTuneJob; otherwise other kinds are skipped.
    """
    data = document.data
    if not isinstance(data, dict):
        hint = "Write it as KEY: VALUE lines, beginning with apiVersion, kind, metadata, spec."
        return _unreadable(Problem("", f"a job must be a mapping, not {shown(data)}.", hint, document.lines.get(())))
    if not alone and _is_foreign(data):
        return Checked(f"{data['kind']}", None, [], skipped=True)
    data, changed, problems = apply_overrides(data, overrides)
    data = _without_nulls(data)
    header = _header_problems(data)
    job, found, cluster = (None, [], []) if any(problem.path == "kind" for problem in header) else _check(data)
    found = [problem for problem in found if problem.path not in {known.path for known in header}]

    def placed(found: list[Problem]) -> list[Problem]:
        return [replace(problem, line=_line(problem, document.lines, changed)) for problem in found]

    problems += placed(header + found)
    name = _get(data, "metadata", "name")
    extra = _get(data, *_EXTRA_ARGS)
    extra_args = {key: document.lines.get((*_EXTRA_ARGS, key)) for key in extra} if isinstance(extra, dict) else {}
    return Checked(str(name or "unnamed"), None if problems else job, problems, placed(cluster), extra_args=extra_args)


def _get(data: Any, *keys: str) -> Any:
    """The value at a path of data that may have any shape, or None."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        others = {other.stem: other for other in path.parent.glob("*.y*ml")} if path.parent.is_dir() else {}
        near = nearest(path.stem, others)
        hint = f"Did you mean {others[near]}?" if near else "`finetune init` writes a job to start from."
        raise YamlError(Problem("", "there is no such file.", hint)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise YamlError(Problem("", f"is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.", line)) from None
    except OSError as error:
        raise YamlError(Problem("", f"cannot be read: {error.strerror}.")) from None


def _unreadable(problem: Problem) -> Checked:
    return Checked("unreadable", None, [problem])


def _is_foreign(data: dict[str, Any]) -> bool:
    """Another kind of object, and not a FineTuneJob with a typing mistake."""
    kind, version = data.get("kind"), data.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        return False
    return not version.startswith(f"{spec.GROUP}/") and nearest(kind, [spec.KIND]) is None


def _header_problems(data: dict[str, Any]) -> list[Problem]:
    """apiVersion and kind; a wrong kind ends the checks, since nothing else would fit."""
    problems = []
    for key, wanted in (("apiVersion", spec.API_VERSION), ("kind", spec.KIND)):
        if key not in data:
            problems.append(Problem(key, "is missing.", f"Write {key}: {wanted}."))
        elif data[key] != wanted:
            problems.append(Problem(key, f"is {shown(data[key])}.", f"Write {key}: {wanted}."))
    return problems


def _without_nulls(data: Any) -> Any:
    """A key without a value takes its default, as in the API server."""
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    return [_without_nulls(item) for item in data] if isinstance(data, list) else data


def _validate(data: Any) -> spec.FineTuneJob:
    return spec.FineTuneJob.model_validate(data, by_alias=True, by_name=False)


def _check(data: dict[str, Any]) -> tuple[spec.FineTuneJob | None, list[Problem], list[Problem]]:
    """Fields, then rules: the job, what is wrong with it everywhere, and what only on a cluster.

    Where fields are wrong they are replaced, so that the rules about all others can still speak.
    """
    try:
        job = _validate(data)
    except ValidationError as error:
        stand_in, unsure = _stand_in(data, error)
        broken, cluster = _broken_rules(stand_in, unsure) if stand_in else ([], [])
        return None, _field_problems(error, data) + broken, cluster
    return job, *_broken_rules(job)


def _broken_rules(job: spec.FineTuneJob, unsure: Collection[Keys] = ()) -> tuple[list[Problem], list[Problem]]:
    everywhere = rule_problems(job, unsure)
    return everywhere, [problem for problem in rule_problems(job, unsure, cluster=True) if problem not in everywhere]


def _field_problems(error: ValidationError, data: Any) -> list[Problem]:
    """One problem per place: a union reports each of its members."""
    problems: dict[Keys, Problem] = {}
    for detail in error.errors(include_url=False):
        keys = data_path(detail, data)
        problems.setdefault(keys, field_problem(detail, keys))
    return list(problems.values())


#: Values for required fields that are missing, so that the rest can be checked.
_STAND_INS: dict[str, Any] = {
    "apiVersion": spec.API_VERSION,
    "kind": spec.KIND,
    "metadata": {"name": "job"},
    "name": "standin",
    "spec": {},
    "model": {},
    "source": "hf://stand/in",
    "dataset": {},
    "sources": [{"uri": "hf://stand/in", "format": "openai"}],
    "uri": "hf://stand/in",
    "format": "openai",
    "persistentVolumeClaim": {},
    "claimName": "stand-in",
    "secretKeyRef": {},
    "secretName": "stand-in",
    "mountPath": "/stand/in",
}
_ROUNDS = 8


def _stand_in(data: Any, error: ValidationError) -> tuple[spec.FineTuneJob | None, set[Keys]]:
    """The job with every wrong field taken out or replaced, and the paths of those fields."""
    data = copy.deepcopy(data)
    unsure: set[Keys] = set()
    for _ in range(_ROUNDS):
        for detail in error.errors(include_url=False):
            keys = data_path(detail, data)
            while keys and isinstance(keys[-1], int):
                keys = keys[:-1]  # Taking out one entry would renumber the others.
            if not keys:
                return None, unsure
            unsure.add(keys)
            if detail["type"] == "missing":
                name = str(keys[-1])
                _parent(data, keys)[name] = "job" if keys == ("metadata", "name") else copy.deepcopy(_STAND_INS[name])
            else:
                unsure |= {guess for name in meant(keys[:-1], str(keys[-1])) if (guess := parse_path(name.replace("[]", "[0]")))}
                _parent(data, keys).pop(keys[-1], None)
        try:
            return _validate(data), unsure
        except ValidationError as next_error:
            error = next_error
    return None, unsure


def _parent(data: Any, keys: Keys) -> Any:
    for key in keys[:-1]:
        data = data[key]
    return data


def _line(problem: Problem, lines: dict[Keys, int], changed: set[Keys]) -> int | None:
    """The line of the field, or of the nearest object around it; None for what came from an override."""
    keys = parse_path(problem.path) or ()
    if any(related(keys, new) and keys not in lines for new in changed) or any(keys[: len(new)] == new for new in changed):
        return None
    while keys and keys not in lines:
        keys = keys[:-1]
    return lines.get(keys)
