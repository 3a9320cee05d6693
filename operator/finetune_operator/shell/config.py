"""The operator's configuration: environment variables, checked once at the start.

Unknown variables with the prefix are passed over: Kubernetes itself adds some to a pod beside a Service of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from finetune_api.spec import DNS_LABEL
from finetune_operator.core.model import Config

PREFIX = "FINETUNE_OPERATOR_"
_OBJECT_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class ConfigError(ValueError):
    """A variable is missing or wrong; the text is one line that says which, and what to write."""


@dataclass(frozen=True)
class LeaseSettings:
    """By which of several replicas one works. Attributes: identity: no other replica's."""

    namespace: str
    name: str
    identity: str


@dataclass(frozen=True)
class OperatorSettings:
    """What the platform engineer decided.

    Attributes:
        config: what the core needs of it.
        health_port: port of /healthz, /readyz and /metrics.
        namespaces: those that are served; none: all.
        job_series: of at most so many running jobs there are metrics of their own; 0: of none.
        lease: None: there is one replica, and it works.
    """

    config: Config
    health_port: int = 8081
    namespaces: tuple[str, ...] = ()
    log_level: LogLevel = "INFO"
    job_series: int = 0
    lease: LeaseSettings | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> OperatorSettings:
        """Read FINETUNE_OPERATOR_TRAINER_IMAGE (required), _IMAGE_PULL_POLICY, _PROGRESS_SECONDS, _HEALTH_PORT, _NAMESPACES
        (separated by commas), _JOB_SERIES, _LOG_LEVEL, and for several replicas _LEASE (namespace/name) and _IDENTITY. An empty
        variable counts as not set.

        Raises:
            ConfigError: a variable is missing or wrong.
        """
        given = {name.removeprefix(PREFIX): value.strip() for name, value in env.items() if name.startswith(PREFIX)}
        image = given.get("TRAINER_IMAGE", "")
        if not image:
            raise ConfigError(f"{PREFIX}TRAINER_IMAGE is not set. Set it to the trainer's image.")
        return cls(
            config=Config(
                trainer_image=image,
                image_pull_policy=_choice(given, "IMAGE_PULL_POLICY", PullPolicy, "IfNotPresent"),
                progress_seconds=_number(given, "PROGRESS_SECONDS", 30, least=1, most=3600),
            ),
            health_port=_number(given, "HEALTH_PORT", 8081, least=1, most=65535),
            namespaces=_namespaces(given),
            job_series=_number(given, "JOB_SERIES", 0, least=0, most=1000),
            log_level=_choice(given, "LOG_LEVEL", LogLevel, "INFO"),
            lease=_lease(given),
        )


def _choice(given: Mapping[str, str], name: str, choices: object, default: str) -> Any:
    value = given.get(name) or default
    if value not in get_args(choices):
        raise _wrong(name, value, " or ".join(get_args(choices)))
    return value


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name) or str(default)
    if not re.fullmatch(r"\d{1,5}", value) or not least <= int(value) <= most:
        raise _wrong(name, value, f"a whole number from {least} to {most}")
    return int(value)


def _namespaces(given: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in given.get("NAMESPACES", "").split(",") if part.strip()))
    for name in names:
        if not re.fullmatch(DNS_LABEL, name):
            raise _wrong("NAMESPACES", name, "names of namespaces, separated by commas")
    return names


def _lease(given: Mapping[str, str]) -> LeaseSettings | None:
    if not (lease := given.get("LEASE", "")):
        return None
    namespace, _slash, name = lease.partition("/")
    if not re.fullmatch(DNS_LABEL, namespace) or not re.fullmatch(_OBJECT_NAME, name):
        raise _wrong("LEASE", lease, "namespace/name of a Lease")
    if not (identity := given.get("IDENTITY", "")):
        raise ConfigError(f"{PREFIX}IDENTITY is not set. With {PREFIX}LEASE each replica needs a name of its own: its pod's.")
    return LeaseSettings(namespace, name, identity)


def _wrong(name: str, value: str, wanted: str) -> ConfigError:
    return ConfigError(f"{PREFIX}{name} is {value!r}. Write {wanted}.")
