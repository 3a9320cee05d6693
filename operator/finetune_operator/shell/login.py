"""Where the API server is and how to log in: KUBECONFIG if it is set, else the pod's service account, else ~/.kube/config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import kopf
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME, InClusterConfigLoader

#: Enough to keep an API server busy; each costs both sides a TLS handshake.
_CONNECTIONS = 32


class LoginError(Exception):
    """Neither a kubeconfig nor a service account can be used; the text is one line that says what to do."""


async def load_configuration(env: Mapping[str, str] = os.environ) -> Configuration:
    """Connection settings for the client. Tokens are read again when they expire.

    Raises:
        LoginError: what is there to log in with is missing or cannot be read.
    """
    configuration = Configuration(connection_pool_maxsize=_CONNECTIONS)
    # Otherwise aiohttp looks for a proxy and a .netrc file before each request, in a thread.
    configuration.client_session_kwargs = {"trust_env": False}
    in_cluster = not env.get("KUBECONFIG") and "KUBERNETES_SERVICE_HOST" in env
    kubeconfig = env.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not in_cluster and not any(Path(path).is_file() for path in kubeconfig.split(os.pathsep)):
        raise LoginError(
            f"There is no cluster to log in to: no {kubeconfig}. Set KUBECONFIG, or run in a pod with a service account."
        )
    try:
        if in_cluster:
            loader = InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=env)  # type: ignore[no-untyped-call]
            loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(kubeconfig, client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise LoginError(f"Cannot log in to the cluster: {error}") from error
    return configuration


async def kopf_login(**_: object) -> kopf.ConnectionInfo:
    """The same login for kopf; called again when the API server refuses the token."""
    configuration = await load_configuration()
    authorization = await configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _separator, token = authorization.rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
