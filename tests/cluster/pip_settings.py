"""This machine's settings of pip (index, proxy, certificates), as files that a build sees and its layers do not."""

from __future__ import annotations

import ast
import configparser
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_WANTED = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "cert")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
#: Where a build mounts the secret `certificates`.
_MOUNTED = "/run/secrets/certificates"


def pip_secrets(folder: Path) -> dict[str, Path]:
    """Write pip.conf into `folder`; the files by the names under which the project's Dockerfiles take them."""
    settings = parse(subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout)
    secrets = {}
    certificates = certificate_file(settings, os.environ)
    if certificates:
        settings["cert"] = _MOUNTED
        secrets["certificates"] = certificates
    if settings:
        config = configparser.RawConfigParser()
        config["global"] = settings
        with (folder / "pip.conf").open("w") as file:
            config.write(file)
        secrets["pip"] = folder / "pip.conf"
    return secrets


def parse(listed: str) -> dict[str, str]:
    """What `pip config list` says, as far as a build needs it. As for pip, the environment comes before files."""
    settings = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in _WANTED:
            settings[key] = str(ast.literal_eval(value))
    return settings


def certificate_file(settings: Mapping[str, str], environment: Mapping[str, str]) -> Path | None:
    """The file of certificate authorities that pip uses here, if it is not its own."""
    for path in [settings.get("cert"), *(environment.get(name) for name in _CERTIFICATES)]:
        if path and Path(path).is_file():
            return Path(path)
    return None
