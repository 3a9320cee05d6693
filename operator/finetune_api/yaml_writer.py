"""Plain data as YAML that kubectl and yaml_reader.py read back as the same data.

PyYAML alone leaves text such as 1e3, 0o10 or y without quotes, which kubectl then takes for numbers and booleans.
"""

from __future__ import annotations

from typing import Any

import yaml

from finetune_api.yaml_reader import is_plain_text

try:  # Three times as fast; the operator writes a job for each one it starts.
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # PyYAML without its C extension.
    from yaml import SafeDumper  # type: ignore[assignment]


class _Dumper(SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain_text(text) else '"')


_Dumper.add_representer(str, _represent_text)


def to_yaml(data: Any) -> str:
    """The data (dict, list, str, bool, int, float, None) as one document in block style, keys in their own order, no aliases."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
