"""A real Prometheus on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster.eventually import eventually
from cluster.ports import free_port
from cluster.process import Process
from metrics.programs import program


class Prometheus:
    """What a Prometheus answers at 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query. Raises AssertionError when the query is wrong."""
        return list(self._get("query", query=expression)["result"])

    def label_values(self, label: str, match: str) -> list[str]:
        """Values that a label has among the series that match."""
        return list(self._get(f"label/{label}/values", **{"match[]": match}))

    def _get(self, path: str, **parameters: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            raise AssertionError(f"no answer: {error}") from error


@contextmanager
def prometheus(folder: Path, targets: Mapping[int, Mapping[str, str]]) -> Iterator[Prometheus]:
    """Scrapes these ports of 127.0.0.1 each second, with labels for each, until left; it has scraped each when it is entered."""
    static = [{"targets": [f"127.0.0.1:{port}"], "labels": dict(labels)} for port, labels in targets.items()]
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "finetune", "static_configs": static}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    argv = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process, served = Process(argv, folder / "prometheus.log"), Prometheus(port)
    process.start()
    try:
        eventually(lambda: len(served.query("up == 1")) == len(targets), 20)
        yield served
    finally:
        process.stop()
