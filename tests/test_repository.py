"""What holds for the repository as a whole: names, contents of the wheel, and documentation that is true."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PACKAGES = ("operator/finetune_api", "operator/finetune_cli", "operator/finetune_operator", "trainer_image/finetune_trainer")
#: They pass pip's settings on, whose names they must know.
ABOUT_PIP = ("tests/cluster/pip_settings.py", "tests/cluster/test_pip_settings.py")


def _files() -> list[Path]:
    """Files that are, or would be, in version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


PAGES = [path for path in _files() if path.suffix == ".md"]
page = pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])


def test_the_folder_operator_does_not_shadow_the_standard_library():
    assert not (ROOT / "operator" / "__init__.py").exists()
    code = "import operator; print(operator.add(1, 1), operator.__file__)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("2 ") and not printed.split()[1].startswith(str(ROOT))


def test_no_file_names_a_machine():
    """No path of somebody's machine and no package host: a clone works wherever its pip does."""
    found = []
    places = r"(?<![\w.])/(?:work|root|home/\w+)/|pypi\.org|pythonhosted"
    options = r"index-url|trusted-host"
    for path in _files():
        if path.suffix in {".png", ".gguf", ".parquet"} or path == Path(__file__):
            continue
        about_pip = path.relative_to(ROOT).as_posix() in ABOUT_PIP
        pattern = re.compile(places if about_pip else f"{places}|{options}")
        found += [f"{path.relative_to(ROOT)}: {line.strip()}" for line in path.read_text().splitlines() if pattern.search(line)]
    assert found == []


def test_versions_are_exact_and_cover_what_is_asked_for():
    lines = [line for line in (ROOT / "constraints/versions.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *chain(*extras, *project["dependency-groups"].values())]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[ ]", each)[0]).lower() for each in wanted}
    assert names - pinned == set()


def test_versions_are_for_the_oldest_python_too():
    """Else pip looks for others on an older one, long and in vain."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=") + ".0"
    names = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "constraints/versions.txt").read_text(), re.MULTILINE)
    asked = {name: importlib.metadata.metadata(name).get("Requires-Python") or "" for name in names}
    assert [name for name, pythons in asked.items() if not SpecifierSet(pythons).contains(oldest)] == []


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    names = (path.relative_to(ROOT).as_posix() for path in _files())
    assert packed == {name.split("/", 1)[1] for name in names if name.startswith(tuple(f"{package}/" for package in PACKAGES))}


@pytest.mark.parametrize("module", ["finetune_cli.main", "finetune_api.spec"])
def test_heavy_libraries_are_imported_when_they_are_needed(module: str):
    path = f"{ROOT / 'operator'}:{ROOT / 'trainer_image'}"
    heavy = "{'torch', 'transformers', 'datasets', 'matplotlib', 'numpy', 'kubernetes'}"
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": path}
    ).stdout
    assert printed.strip() == ""


@page
def test_links_lead_somewhere(page: Path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and anchor not in _anchors(other)):
            broken.append(target)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_targets_of_the_documentation_exist(page: Path):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|\$ )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)) <= targets


EXAMPLES = [path for path in sorted(ROOT.glob("examples/**/*.yaml")) if "kind: FineTuneJob" in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=[str(path.relative_to(ROOT)) for path in EXAMPLES])
def test_examples_are_valid(path: Path):
    from finetune_api.load import load_job

    assert load_job(path).dataset.sources


def test_the_quickstart_data_is_the_same_each_time(stdlib_pairs: Path, tmp_path: Path):
    from examples.quickstart import make_data

    make_data.main(tmp_path)
    assert (tmp_path / "stdlib.jsonl").read_bytes() == stdlib_pairs.read_bytes()
    assert 300 < len(stdlib_pairs.read_text().splitlines()) < 2000
