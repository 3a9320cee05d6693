"""The kinds of objects that the operator reads and writes, by their REST paths."""

from __future__ import annotations

from dataclasses import dataclass

from finetune_api.names import PLURAL
from finetune_api.spec import GROUP, VERSION
from finetune_operator.core.model import Manifest


@dataclass(frozen=True)
class Resource:
    """One kind. `group` is empty for the core group; `namespaced` is False for kinds of the whole cluster."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path below the API server's address; without a namespace that of all namespaces, without a name that of the list."""
        parts = ["api" if not self.group else f"apis/{self.group}", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)


FINETUNE_JOBS = Resource(GROUP, VERSION, PLURAL)
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SECRETS = Resource("", "v1", "secrets")
CLAIMS = Resource("", "v1", "persistentvolumeclaims")
EVENTS = Resource("", "v1", "events")
NODES = Resource("", "v1", "nodes", namespaced=False)
LEASES = Resource("coordination.k8s.io", "v1", "leases")

#: What the operator watches.
WATCHED = (FINETUNE_JOBS, JOBS, PODS)
_CREATED = {"Service": SERVICES, "ConfigMap": CONFIG_MAPS, "Job": JOBS, "Lease": LEASES}


def resource_of(manifest: Manifest) -> Resource:
    """The resource of something that the operator creates."""
    return _CREATED[manifest["kind"]]
