"""Values that the chart refuses, each with what Helm says of it."""

from __future__ import annotations

from typing import Any

#: Values as a user gives them, the words.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"nmaespaces": ["a"]}, "additional properties 'nmaespaces' not allowed"),
    ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    ({"image": {"repository": "operator"}}, "at '/image': got object, want string"),
    ({"image": "registry.example.com/operator :2"}, "at '/image': 'registry.example.com/operator :2' does not match"),
    ({"imagePullPolicy": "Sometimes"}, "at '/imagePullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ({"imagePullSecrets": ["registry"]}, "at '/imagePullSecrets/0': got string, want object"),
    ({"trainer": {"tag": "3"}}, "at '/trainer': additional properties 'tag' not allowed"),
    ({"watchNamespaces": "team-a"}, "at '/watchNamespaces': got string, want array"),
    ({"watchNamespaces": ["*"]}, "at '/watchNamespaces/0': '*' does not match"),
    ({"watchNamespaces": ["a", "a"]}, "at '/watchNamespaces': items at 0 and 1 are equal"),
    ({"progressSeconds": 0}, "at '/progressSeconds': minimum: got 0, want 1"),
    ({"progressSeconds": "30s"}, "at '/progressSeconds': got string, want integer"),
    ({"logLevel": "info"}, "at '/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
    ({"resources": {"memory": "1Gi"}}, "at '/resources': additional properties 'memory' not allowed"),
    ({"resources": {"limits": {"memory": "1GB"}}}, "at '/resources/limits/memory': '1GB' does not match"),
    (
        {"podLabels": {"app.kubernetes.io/name": "mine"}},
        "podLabels: the chart itself sets the label app.kubernetes.io/name. Leave it out.",
    ),
    ({"podLabels": {"critical": True}}, "at '/podLabels/critical': got boolean, want string"),
    ({"podAnnotations": {"a b": "c"}}, "at '/podAnnotations': additional properties 'a b' not allowed"),
    ({"priorityClassName": "High"}, "at '/priorityClassName': 'High' does not match"),
    ({"nodeSelector": {"gpu": False}}, "at '/nodeSelector/gpu': got boolean, want string"),
    ({"tolerations": {"key": "gpu"}}, "at '/tolerations': got object, want array"),
    ({"tolerations": [{"effect": "NoRun"}]}, "at '/tolerations/0/effect': value must be one of 'NoSchedule'"),
    ({"affinity": {"antiAffinity": {}}}, "at '/affinity': additional properties 'antiAffinity' not allowed"),
    ({"podDisruptionBudget": True}, "at '/podDisruptionBudget': got boolean, want object"),
    ({"networkPolicy": {"enabled": "yes"}}, "at '/networkPolicy/enabled': got string, want boolean"),
    ({"networkPolicy": {"apiServerPorts": [70000]}}, "at '/networkPolicy/apiServerPorts/0': maximum: got 70,000, want 65,535"),
    ({"networkPolicy": {"apiServerPorts": []}}, "at '/networkPolicy/apiServerPorts': minItems: got 0, want 1"),
    ({"networkPolicy": {"metricsFrom": [{}]}}, "at '/networkPolicy/metricsFrom/0': minProperties: got 0, want 1"),
    ({"podMonitor": {"interval": "30"}}, "at '/podMonitor/interval': '30' does not match"),
    ({"podMonitor": {"jobs": {"enabled": True}}}, "at '/podMonitor/jobs': got object, want boolean"),
    ({"podMonitor": {"interval": 30}}, "at '/podMonitor/interval': got number, want string"),
    (
        {"podMonitor": {"enabled": True, "labels": {"helm.sh/chart": "mine"}}},
        "podMonitor.labels: the chart itself sets the label helm.sh/chart. Leave it out.",
    ),
    ({"crd": {"install": "false"}}, "at '/crd/install': got string, want boolean"),
    ({"rbac": {"create": True}}, "at '/rbac': additional properties 'create' not allowed"),
]
