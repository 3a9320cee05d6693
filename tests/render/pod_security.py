"""Kubernetes' Pod Security Standard `restricted`, as far as this project's pods could break it."""

from __future__ import annotations

from typing import Any


def restricted_violations(pod: dict[str, Any]) -> list[str]:
    """What Kubernetes' Pod Security Standard `restricted` would refuse."""
    volumes = {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "projected", "downwardAPI", "csi", "ephemeral"}
    security, found = pod.get("securityContext", {}), []
    found += [field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    found += [f"volume {volume['name']}" for volume in pod["volumes"] if not set(volume) <= volumes | {"name"}]
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") == 0:
        found.append("root")
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        found.append("seccomp")
    for container in pod["containers"] + pod.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged") or own.get("runAsUser") == 0:
            found.append("privileges")
        if own.get("capabilities") != {"drop": ["ALL"]} or own.get("runAsNonRoot") is False or own.get("procMount"):
            found.append("capabilities")
        found += [f"host port {port['hostPort']}" for port in container.get("ports", []) if port.get("hostPort")]
    return found
