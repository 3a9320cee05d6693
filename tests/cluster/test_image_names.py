"""Which change of the checkout makes which image anew."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cluster.images import OPERATOR, ROOT, TRAINER, Image, dependencies_name, image_name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for file in ("pyproject.toml", "constraints/versions.txt", "operator/Dockerfile", "trainer_image/Dockerfile"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    for package in {*OPERATOR.packages, *TRAINER.packages}:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def names(image: Image, checkout: Path) -> tuple[str, str]:
    return dependencies_name(image, None, checkout), image_name(image, None, checkout)


def changed(image: Image, checkout: Path, file: str, text: str) -> tuple[bool, bool]:
    """Whether adding a line to a file changes the names of (dependencies, image)."""
    before = names(image, checkout)
    with (checkout / file).open("a") as stream:
        stream.write(text)
    after = names(image, checkout)
    return before[0] != after[0], before[1] != after[1]


@pytest.mark.parametrize("image", [OPERATOR, TRAINER], ids=lambda image: image.name)
def test_our_own_code_leaves_the_dependencies_alone(image: Image, checkout: Path) -> None:
    assert changed(image, checkout, "operator/finetune_api/__init__.py", "x = 1\n") == (False, True)


def test_code_of_one_image_leaves_the_other_alone(checkout: Path) -> None:
    assert changed(OPERATOR, checkout, "trainer_image/finetune_trainer/__init__.py", "x = 1\n") == (False, False)
    assert changed(TRAINER, checkout, "operator/finetune_operator/__init__.py", "x = 1\n") == (False, False)


@pytest.mark.parametrize("image", [OPERATOR, TRAINER], ids=lambda image: image.name)
def test_what_the_dockerfile_installs_counts(image: Image) -> None:
    named = re.findall(r"(?:extras|project\['optional-dependencies'\])\['(\w+)'\]", (ROOT / image.dockerfile).read_text())
    assert set(named) == set(image.extras)


def test_versions_and_dockerfile_make_both_anew(checkout: Path) -> None:
    assert changed(TRAINER, checkout, "constraints/versions.txt", "# new\n") == (True, True)
    assert changed(TRAINER, checkout, "trainer_image/Dockerfile", "# new\n") == (True, True)


def test_settings_of_tools_make_nothing_anew(checkout: Path) -> None:
    assert changed(OPERATOR, checkout, "pyproject.toml", "\n[tool.other]\nline = 1\n") == (False, False)


def test_only_wheels_of_the_chosen_folders_count(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(checkout / "wheels"))
    without = names(TRAINER, checkout), names(OPERATOR, checkout)
    (checkout / "wheels").mkdir()
    (checkout / "wheels" / "torch-2.whl").write_bytes(b"wheel")
    assert names(TRAINER, checkout)[0] != without[0][0]
    assert names(OPERATOR, checkout) == without[1]
