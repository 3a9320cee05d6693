"""What the go.mod files promise."""

from __future__ import annotations

import re

import pytest

from cluster import binaries


def tools(module: str) -> set[str]:
    text = (binaries._MODULES / module / "go.mod").read_text()
    return {
        *re.findall(r"^tool (\S+)$", text, re.MULTILINE),
        *(
            line.strip()
            for block in re.findall(r"^tool \((.*?)\)", text, re.MULTILINE | re.DOTALL)
            for line in block.split("\n")
            if line.strip()
        ),
    }


@pytest.mark.parametrize("name", binaries.PROGRAMS)
def test_every_program_is_a_tool_of_its_module(name: str) -> None:
    module, package = binaries.PROGRAMS[name]
    assert package in tools(module) or (package == "." and (binaries._MODULES / module / "main.go").is_file())


def test_kubernetes_parts_have_its_version() -> None:
    _, minor, patch = binaries.version("k8s.io/kubernetes").split(".")
    replaced = re.findall(r"=> (k8s\.io/\S+) (\S+)", (binaries._MODULES / "kubernetes" / "go.mod").read_text())
    assert replaced
    assert {version for _, version in replaced} == {f"v0.{minor}.{patch}"}
