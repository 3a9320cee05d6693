"""The reader pod's life: made, waited for, used, and deleted whatever happens."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from finetune_api.names import LABEL_JOB
from finetune_api.pod_trouble import trouble
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError, ForbiddenError, NotFoundError
from finetune_cli.cluster.reader_pod import LABEL_READER, newest_template, reader_pod
from finetune_cli.cluster.transfer import Remote

Report = Callable[[str], None]

_POLL_SECONDS = 0.5
#: Troubles that no waiting cures.
_FINAL = ("ImagePullFailed", "ContainerNotCreated")


@contextmanager
def reader(client: Client, job: Manifest, claim: str, seconds: float, report: Report) -> Iterator[Remote]:
    """A way to run commands in a pod that holds the claim at reader_pod.VOLUME. The pod is gone afterwards, also after Ctrl-C.

    Args:
        seconds: how long it may take to start.
        report: is told what is waited for.

    Raises:
        ClusterError: the claim is gone, or the pod does not start; says why.
    """
    name = job["metadata"]["name"]
    _check_claim(client, name, claim)
    template = newest_template(job, client.find("jobs", labels=f"{LABEL_JOB}={name}"))
    _sweep(client, name)
    with _signals_raise():
        manifest = reader_pod(job, template, claim, secrets.token_hex(3))
        pod = manifest["metadata"]["name"]
        try:
            client.create("pods", manifest)
            _wait(client, pod, seconds, report)
            yield lambda command: client.execute(pod, command)
        finally:
            with suppress(ClusterError):  # It then ends by itself, and goes with the job.
                client.delete("pods", pod)


def _check_claim(client: Client, job: str, claim: str) -> None:
    try:
        found = client.get("persistentvolumeclaims", claim)
    except NotFoundError:
        raise ClusterError(f"The claim {claim} is gone from namespace {client.namespace}, and what {job} wrote with it.") from None
    except ForbiddenError:
        return  # The pod will show.
    if found.get("status", {}).get("phase") == "Lost":
        raise ClusterError(f"The volume of claim {claim} is gone, and what {job} wrote with it: kubectl describe pvc {claim}")


def _sweep(client: Client, job: str) -> None:
    """Readers that ended by themselves, because their command had been killed."""
    with suppress(ForbiddenError):
        for pod in client.find("pods", labels=f"{LABEL_READER}={job}"):
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                client.delete("pods", pod["metadata"]["name"])


def _wait(client: Client, name: str, seconds: float, report: Report) -> None:
    deadline = time.monotonic() + seconds
    report(f"waiting for pod {name}")
    while True:
        try:
            pod = client.get("pods", name)
        except NotFoundError:
            raise ClusterError(f"Pod {name}, which was to read the volume, was deleted before it had started. Try again.") from None
        phase = pod.get("status", {}).get("phase")
        if phase == "Running":
            return
        found = trouble(pod, _mount_message(client, name))
        why = found.message if found else ""
        if phase in ("Succeeded", "Failed") or (found is not None and found.reason in _FINAL):
            raise ClusterError(f"Pod {name}, which was to read the volume, cannot start. {why}".strip())
        if time.monotonic() > deadline:
            hint = why or f"Wait longer with --timeout, or see what is in its way: kubectl get events -n {client.namespace}"
            raise ClusterError(f"Pod {name}, which was to read the volume, has not started within {seconds:.0f} s. {hint}")
        if why:
            report(f"waiting for pod {name}: {why}")
        time.sleep(_POLL_SECONDS)


def _mount_message(client: Client, pod: str) -> str:
    try:
        events = client.find("events", fields=f"involvedObject.name={pod}")
    except ForbiddenError:
        return ""
    found = [event["message"] for event in events if event.get("reason") in ("FailedMount", "FailedAttachVolume")]
    return str(found[-1]) if found else ""


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP end the command as Ctrl-C does, by an exception, so that the pod is deleted."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
