"""A kubelet that needs no telling: starts every pod of a namespace, and ends those that are told to stop."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from urllib3.exceptions import HTTPError

from cluster.api import Api, ApiError, Manifest, Watch
from cluster.kubelet import Kubelet, ended, stopping

_RETRY_SECONDS = 0.2


class AutomaticKubelet:
    """Works in the background while the context is entered, also across a restart of the API server.

    Args:
        run: start pods as they appear; otherwise they stay Pending until the test does something to them.
        ready: whether started pods become ready.
        exit_code: with which a pod ends that is told to stop.
        stop_seconds: how long it takes that.
    """

    def __init__(
        self, api: Api, namespace: str, *, run: bool = True, ready: bool = True, exit_code: int = 143, stop_seconds: float = 0.0
    ) -> None:
        self._api = api
        self._kubelet = Kubelet(api, namespace)
        self._run, self._ready = run, ready
        self._exit_code, self._stop_seconds = exit_code, stop_seconds
        self._started: set[str] = set()
        self._stopped: dict[str, threading.Timer] = {}
        self._closed = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._follow, name=f"kubelet-{namespace}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed.set()
        while self._thread.is_alive():
            if self._watch:
                self._watch.close()
            self._thread.join(_RETRY_SECONDS)
        for timer in self._stopped.values():
            timer.cancel()

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                with self._api.watch("Pod", self._kubelet.namespace) as self._watch:
                    for event, pod in self._watch:
                        if event in ("ADDED", "MODIFIED"):
                            self._see(pod)
                        if self._closed.is_set():
                            return
            except (ApiError, HTTPError, OSError):
                time.sleep(_RETRY_SECONDS)

    def _see(self, pod: Manifest) -> None:
        uid = pod["metadata"]["uid"]
        if stopping(pod) and uid not in self._stopped:
            self._stopped[uid] = threading.Timer(self._stop_seconds, self._finish, [pod])
            self._stopped[uid].start()
        elif self._run and not stopping(pod) and not ended(pod) and uid not in self._started:
            try:
                self._kubelet.run(pod, ready=self._ready)
            except ApiError as error:
                if error.status not in (404, 409):  # Deleted, or the test was faster.
                    raise
            self._started.add(uid)

    def _finish(self, pod: Manifest) -> None:
        try:
            now = self._api.get("Pod", self._kubelet.namespace, pod["metadata"]["name"])
            self._kubelet.finish(now, self._exit_code)
        except (ApiError, HTTPError, OSError):
            # Gone already, or the API server is down: then the next watch shows it again.
            self._stopped.pop(pod["metadata"]["uid"], None)
