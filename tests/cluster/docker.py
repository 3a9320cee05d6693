"""A Docker engine, by its own client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.command import run, succeeds


def full_name(image: str) -> str:
    """The name by which containerd knows an image: with its registry, which Docker leaves out where it is its own."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"


@dataclass(frozen=True)
class Docker:
    """A Docker engine.

    Attributes:
        environment: of every program that shall use it.
        prepared: it was prepared by this project, on a machine that has neither engine nor registry.
    """

    environment: Mapping[str, str] = field(repr=False)
    prepared: bool

    def run(self, *arguments: str | Path) -> str:
        """`docker ARGUMENTS`: what it wrote. Raises CommandError."""
        return run(["docker", *arguments], env=self.environment)

    def has(self, image: str) -> bool:
        """Whether the engine holds an image of that name."""
        return succeeds(["docker", "image", "inspect", image], env=self.environment)

    def build(
        self,
        tag: str,
        context: Path,
        *,
        dockerfile: Path | None = None,
        target: str | None = None,
        arguments: Mapping[str, str] | None = None,
        secrets: Mapping[str, Path] | None = None,
    ) -> None:
        """Build an image. `dockerfile` is the context's own unless given; `secrets` are files that steps see and layers do not."""
        argv: list[str | Path] = ["build", "--quiet", "--tag", tag]
        argv += ["--file", dockerfile] if dockerfile else []
        argv += ["--target", target] if target else []
        for name, value in (arguments or {}).items():
            argv += ["--build-arg", f"{name}={value}"]
        for name, file in (secrets or {}).items():
            argv += ["--secret", f"id={name},src={file}"]
        self.run(*argv, context)
