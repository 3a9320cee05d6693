"""Rules about spec.resources: what Kubernetes would refuse only when the pods are made. Part of the list in rules.py."""

from __future__ import annotations

from finetune_api.pod_template import Resources
from finetune_api.quantity import amount, gpus
from finetune_api.rule import Rule, cel_value
from finetune_api.spec import FineTuneJobSpec

#: Resources without a domain of their own; hugepages-SIZE as well.
NATIVE = ("cpu", "memory", "ephemeral-storage")
_HUGE_PAGES = "hugepages-"


def _cel_amount(place: str) -> str:
    return f"quantity(string({place}))"


def _names_rule(field: str) -> Rule:
    return Rule(
        f"{field} of known resources",
        ("spec.resources",),
        (field,),
        f"self.{field}.all(k, k in {cel_value(NATIVE)} || k.startsWith('{_HUGE_PAGES}') || k.contains('/'))",
        lambda resources: all(name in NATIVE or name.startswith(_HUGE_PAGES) or "/" in name for name in getattr(resources, field)),
        "names a resource that Kubernetes does not know.",
        f"Write {', '.join(NATIVE)}, or a device by its full name, for example nvidia.com/gpu.",
    )


def _within_limits(resources: Resources) -> bool:
    limits = resources.limits
    return all(amount(asked) <= amount(limits[name]) for name, asked in resources.requests.items() if name in limits)


def _devices_in_limits(resources: Resources) -> bool:
    limits, requests = resources.limits, resources.requests
    return all(name in limits and amount(asked) == amount(limits[name]) for name, asked in requests.items() if "/" in name)


def _gpu_each(job: FineTuneJobSpec) -> bool:
    processes, count = job.distributed.processes_per_node, gpus(job.resources.limits)
    return processes is None or not count or processes <= count


RESOURCE_RULES: tuple[Rule, ...] = (
    _names_rule("limits"),
    _names_rule("requests"),
    Rule(
        "requests within limits",
        ("spec.resources",),
        ("requests", "limits"),
        "self.requests.all(k, !(k in self.limits) || "
        f"{_cel_amount('self.requests[k]')}.compareTo({_cel_amount('self.limits[k]')}) <= 0)",
        _within_limits,
        "asks for more of a resource than limits allow.",
        "Raise the limit or lower the request; without requests, the limits are set aside.",
    ),
    Rule(
        "devices have limits",
        ("spec.resources",),
        ("requests", "limits"),
        "self.requests.all(k, !k.contains('/') || (k in self.limits && "
        f"{_cel_amount('self.requests[k]')}.compareTo({_cel_amount('self.limits[k]')}) == 0))",
        _devices_in_limits,
        "for a device, the limit is also the request.",
        "Write devices in limits only.",
    ),
    Rule(
        "whole devices",
        ("spec.resources",),
        ("limits",),
        "self.limits.all(k, !k.contains('/') || string(self.limits[k]).matches('^[0-9]+$'))",
        lambda resources: all(str(count).isdecimal() for name, count in resources.limits.items() if "/" in name),
        "a device cannot be divided.",
        "Write a whole number without a unit, for example nvidia.com/gpu: 8.",
    ),
    Rule(
        "a GPU for each process",
        ("spec",),
        ("distributed.processesPerNode", "resources.limits"),
        "!has(self.distributed.processesPerNode) || self.resources.limits.all(k, !k.endsWith('/gpu') "
        "|| !string(self.resources.limits[k]).matches('^[1-9][0-9]*$') "
        "|| self.distributed.processesPerNode <= int(self.resources.limits[k]))",
        _gpu_each,
        "there are more processes than GPUs in resources.limits, and two cannot share one.",
        "Leave processesPerNode out for one process per GPU.",
        cluster=True,
    ),
)
