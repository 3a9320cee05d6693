"""Golden files for manifests: YAML that can be read, and given to kubectl, as it is."""

from __future__ import annotations

from typing import Any

import yaml
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class _Dumper(yaml.SafeDumper):
    """Text of several lines as such, so that a change of one shows as one; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


class Manifests(SingleFileSnapshotExtension):
    """One file for the objects of one test."""

    _write_mode = WriteMode.TEXT
    file_extension = "yaml"

    def serialize(self, data: Any, **_: Any) -> str:
        return yaml.dump_all(data, Dumper=_Dumper, sort_keys=False, width=120)
