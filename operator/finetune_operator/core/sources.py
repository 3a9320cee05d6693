"""Where a job's model, data and own configuration come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from finetune_api.spec import FineTuneJobSpec
from finetune_api.strategies import configuration_uris


class Source(NamedTuple):
    """A claim and a path in it, or a ConfigMap and a key."""

    name: str
    path: str


def sources(spec: FineTuneJobSpec, scheme: Literal["pvc", "configmap"]) -> Iterator[Source]:
    """Claims or ConfigMaps that model, data and own configuration come from, in the job's order."""
    uris = [spec.model.source] if spec.model is not None else []
    uris += [uri for _, uri in configuration_uris(spec.distributed)]
    if spec.dataset is not None:
        uris += [source.uri for source in (*spec.dataset.sources, *spec.dataset.eval_sources)]
    for uri in uris:
        if uri.startswith(f"{scheme}://"):
            name, _, path = uri.removeprefix(f"{scheme}://").partition("/")
            yield Source(name, path)
