"""The logs of a job's pods as lines for the screen: which pods, whose lines, and following them without losing any."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from finetune_api.contract import ENV_NPROC_PER_NODE
from finetune_cli.cluster.children import Family, read_family
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError, NotFoundError, NotYetError, UnreachableError
from finetune_cli.cluster.facts import JobFacts, PodFacts
from finetune_cli.cluster.follow import FINISHED, PATIENCE_SECONDS

Write = Callable[[str], None]

_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Wanted:
    """Which lines; None: all (attempt: the newest)."""

    node: int | None = None
    rank: int | None = None
    attempt: int | None = None
    tail: int | None = None


def print_logs(client: Client, name: str, wanted: Wanted, *, follow: bool, write: Write) -> None:
    """Write the lines, node by node; when following, as they come.

    Raises:
        ClusterError: there is no such job, attempt, node or rank.
    """
    family = read_family(client, name)
    if family.lacking:
        raise ClusterError(family.lacking[0])
    attempt = choose_attempt(family.facts, wanted.attempt)
    while True:
        pods = choose_pods(family, attempt, wanted)
        if not follow:
            for pod in pods:
                _print_one(client, pod, wanted, len(pods), write)
            return
        _follow_pods(client, pods, wanted, write)
        family = _next_attempt(client, name, attempt)
        newest = family.facts.attempts[-1].number if family.facts.attempts else attempt
        if wanted.attempt is not None or newest == attempt:
            return
        attempt = newest
        write(f"--- attempt {attempt} ---")


def choose_attempt(job: JobFacts, wanted: int | None) -> int:
    """The attempt whose log is meant. Raises ClusterError with those there are."""
    there = [attempt.number for attempt in job.attempts if attempt.pods]
    if wanted is None and there:
        return there[-1]
    if wanted is not None and wanted in there:
        return wanted
    if not there:
        raise ClusterError(
            f"{job.name} has no pods, so there is no log. {job.status.message or 'No operator has looked at it yet.'}"
        )
    held = f"There are logs of attempt {', '.join(map(str, there))}; the newest three are kept while their pods are there."
    raise ClusterError(f"There is no log of attempt {wanted} of {job.name}. {held}")


def choose_pods(family: Family, attempt: int, wanted: Wanted) -> list[PodFacts]:
    """The pods of an attempt whose log is meant. Raises ClusterError."""
    pods = next((one.pods for one in family.facts.attempts if one.number == attempt), ())
    node = wanted.node
    if wanted.rank is not None:
        node = wanted.rank // processes_per_node(family.pods)
        if wanted.node not in (None, node):
            raise ClusterError(f"Rank {wanted.rank} is on node {node}, not on node {wanted.node}: leave out one of the options.")
    chosen = [pod for pod in pods if node in (None, pod.node_rank)]
    if not chosen:
        nodes = sorted({pod.node_rank for pod in pods})
        what = f"rank {wanted.rank}" if wanted.rank is not None else f"node {node}"
        raise ClusterError(f"Attempt {attempt} has no log of {what}: there are nodes {', '.join(map(str, nodes)) or 'none'}.")
    return chosen


def processes_per_node(pods: Iterable[Manifest]) -> int:
    """As the operator told the pods."""
    for pod in pods:
        for variable in pod["spec"]["containers"][0].get("env", ()):
            if variable["name"] == ENV_NPROC_PER_NODE:
                return int(variable.get("value", "1"))
    return 1


def is_of_rank(line: str, rank: int | None) -> bool:
    """Whether a line is one of the rank's: all but rank 0 say whose they are."""
    if rank is None:
        return True
    return line.startswith(f"[rank {rank}] ") if rank > 0 else not line.startswith("[rank ")


def _print_one(client: Client, pod: PodFacts, wanted: Wanted, count: int, write: Write) -> None:
    query = {} if wanted.tail is None else {"tailLines": str(wanted.tail)}
    try:
        for line in _lines(client.log(pod.name, **query)):
            if is_of_rank(line, wanted.rank):
                write(f"{_prefix(pod, count)}{line}")
    except NotYetError:
        why = pod.trouble.message if pod.trouble else "It is about to start."
        write(f"{_prefix(pod, count)}(has not started yet. {why})")


def _follow_pods(client: Client, pods: list[PodFacts], wanted: Wanted, write: Write) -> None:
    """All pods at once, until each has ended."""
    errors: list[Exception] = []
    lock, left = threading.Lock(), threading.Event()

    def run(pod: PodFacts) -> None:
        try:
            for line in _followed(client, pod.name, wanted.tail):
                if is_of_rank(line, wanted.rank):
                    with lock:
                        if left.is_set():
                            return
                        write(f"{_prefix(pod, len(pods))}{line}")
        except (ClusterError, OSError) as error:  # OSError: nobody reads what is written.
            errors.append(error)

    threads = [threading.Thread(target=run, args=(pod,), daemon=True) for pod in pods]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive() and not errors:
                thread.join(0.2)  # Without a limit Ctrl-C would not be heard.
    finally:
        with lock:  # A thread that wrote while Python ends would crash it.
            left.set()
    if errors:
        raise errors[0]


def _followed(client: Client, pod: str, tail: int | None) -> Iterator[str]:
    """A pod's lines until it ends. A broken connection is taken up again after the last line that came.

    Raises:
        UnreachableError: the cluster has been away for a minute.
    """
    last, broken_since = "", None
    while True:
        query = {"follow": "true", "timestamps": "true"}
        query |= {"sinceTime": last} if last else {} if tail is None else {"tailLines": str(tail)}
        known = last  # The server counts in whole seconds, so some lines come again.
        try:
            for line in _lines(client.log(pod, **query)):
                stamp, _, text = line.partition(" ")
                broken_since = None
                if stamp > known:
                    last = stamp
                    yield text
            if client.get("pods", pod).get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
        except NotFoundError:
            return
        except NotYetError:
            broken_since = None
        except UnreachableError:
            broken_since = broken_since or time.monotonic()
            if time.monotonic() - broken_since > PATIENCE_SECONDS:
                raise
        time.sleep(_RETRY_SECONDS)


def _next_attempt(client: Client, name: str, attempt: int) -> Family:
    """The job once it has pods of a later attempt, or has finished, or is suspended."""
    while True:
        family = read_family(client, name)
        facts = family.facts
        later = [one for one in facts.attempts if one.number > attempt and one.pods]
        if later or facts.status.phase in (*FINISHED, "Suspended"):
            return family
        time.sleep(_RETRY_SECONDS)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _prefix(pod: PodFacts, count: int) -> str:
    return f"node {pod.node_rank} | " if count > 1 else ""
