"""The real Kubernetes cluster of `make demo` and the end-to-end tests: kind, also where there is no Docker engine or registry."""

from cluster.lacks import Lacking
from cluster.lifecycle import Cluster, down, up

__all__ = ["Cluster", "Lacking", "down", "up"]
