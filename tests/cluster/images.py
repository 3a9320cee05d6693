"""The project's images, from its own Dockerfiles, named by what goes into them."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import loading
from cluster.content import digest
from cluster.docker import Docker
from cluster.folders import cache
from cluster.lacks import Lacking
from cluster.locked import locked
from cluster.pip_settings import pip_secrets
from cluster.progress import Log

if TYPE_CHECKING:
    from cluster.lifecycle import Cluster

ROOT = Path(__file__).parents[2]
_CONSTRAINTS = Path("constraints/versions.txt")
#: Where the project's own code is in its images: all that the last layer has.
_CODE = "/app"


@dataclass(frozen=True)
class Image:
    """One of the project's images.

    Attributes:
        name: without a tag.
        dockerfile: in the checkout; its stage `dependencies` is all but the project's own code.
        extras: those of pyproject.toml that it installs.
        packages: the project's own code in it.
        takes_wheels: it installs wheels from the local folders of PIP_FIND_LINKS before others.
        given: the variable that names the image where the cluster is not made by this project.
    """

    name: str
    dockerfile: Path
    extras: tuple[str, ...]
    packages: tuple[Path, ...]
    takes_wheels: bool
    given: str


OPERATOR = Image(
    name="finetune-operator",
    dockerfile=Path("operator/Dockerfile"),
    extras=("operator",),
    packages=(Path("operator/finetune_api"), Path("operator/finetune_operator")),
    takes_wheels=False,
    given="FINETUNE_TEST_OPERATOR_IMAGE",
)
TRAINER = Image(
    name="finetune-trainer",
    dockerfile=Path("trainer_image/Dockerfile"),
    extras=("trainer", "deepspeed", "qlora"),
    packages=(Path("operator/finetune_api"), Path("trainer_image/finetune_trainer")),
    takes_wheels=True,
    given="FINETUNE_TEST_TRAINER_IMAGE",
)


def operator_image(cluster: Cluster) -> str:
    """The operator's image from this checkout, in the cluster: built and loaded if it is not there. Returns NAME:TAG."""
    return _in_cluster(OPERATOR, cluster)


def trainer_image(cluster: Cluster) -> str:
    """The trainer's image from this checkout, in the cluster: built and loaded if it is not there. Returns NAME:TAG."""
    return _in_cluster(TRAINER, cluster)


def dependencies_name(image: Image, base: str | None, root: Path = ROOT) -> str:
    """NAME:TAG of the stage `dependencies`, by what decides it in the checkout `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(each for extra in image.extras for each in project["optional-dependencies"][extra])]
    wheels = [f"{wheel.name} {wheel.stat().st_size}" for wheel in _wheels(image)]
    return f"{image.name}-dependencies:{digest([base or '', root / image.dockerfile, root / _CONSTRAINTS, *wanted, *wheels])}"


def image_name(image: Image, base: str | None, root: Path = ROOT) -> str:
    """NAME:TAG of the whole image, by what decides it in the checkout `root`."""
    return f"{image.name}:{digest([dependencies_name(image, base, root), *(root / package for package in image.packages)])}"


def dependencies(image: Image, docker: Docker, base: str | None, log: Log) -> str:
    """The image without the project's code, built unless the engine has it. `base`: a Debian with Python, if not the public one."""
    tag = dependencies_name(image, base)
    if not docker.has(tag):
        log(f"Building {tag} (once; 1 to 3 minutes)")
        if image.takes_wheels and not _wheels(image):
            log("  with PyTorch's CUDA build, 6 GB; a wheel of another build is taken from a folder named in PIP_FIND_LINKS")
        _build(image, docker, base, tag, log, target="dependencies")
    return tag


def build(image: Image, docker: Docker, base: str | None, log: Log) -> str:
    """The whole image, built unless the engine has it. Returns NAME:TAG."""
    tag = image_name(image, base)
    if not docker.has(tag):
        dependencies(image, docker, base, log)
        log(f"Building {tag}")
        _build(image, docker, base, tag, log, target=None)
    return tag


def _in_cluster(image: Image, cluster: Cluster) -> str:
    if cluster.docker is None:
        given = os.environ.get(image.given)
        if not given:
            raise Lacking(f"{image.given} must name an image that the given cluster can pull")
        return given
    tag = build(image, cluster.docker, cluster.base, cluster.log)
    below = dependencies(image, cluster.docker, cluster.base, cluster.log)
    cluster.load(below)
    loading.load_on_top(cluster.docker, cluster.nodes[1:], tag, below, _CODE, cluster.log)
    return tag


def _wheels(image: Image) -> list[Path]:
    """Wheels from the local folders of PIP_FIND_LINKS."""
    folders = [Path(place) for place in os.environ.get("PIP_FIND_LINKS", "").split()] if image.takes_wheels else []
    return sorted(wheel for folder in folders if folder.is_dir() for wheel in folder.glob("*.whl"))


def _build(image: Image, docker: Docker, base: str | None, tag: str, log: Log, *, target: str | None) -> None:
    arguments: Mapping[str, str] = {"BASE": base} if base else {}
    # Always the same folder: an engine then asks only for files that have changed.
    folder = cache() / "contexts" / image.name
    with locked(folder.with_suffix(".lock"), log), tempfile.TemporaryDirectory() as settings:
        _fill_context(image, folder)
        secrets = pip_secrets(Path(settings))
        docker.build(tag, folder, dockerfile=ROOT / image.dockerfile, target=target, arguments=arguments, secrets=secrets)


def _fill_context(image: Image, folder: Path) -> None:
    """Make the folder hold what the Dockerfile copies, and the wheels."""
    if folder.exists():
        shutil.rmtree(folder)
    for file in (Path("pyproject.toml"), _CONSTRAINTS):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, folder / file)
    for package in image.packages:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for wheel in _wheels(image):
        (folder / "wheels").mkdir(exist_ok=True)
        shutil.copy2(wheel, folder / "wheels")
