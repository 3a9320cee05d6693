"""Which fields may not change after a job was created: the CEL transition rules of the CRD.

Everything that shapes the pods or the training is fixed, because attempts of one job must go on from each other's checkpoints.
What may change while a job runs: suspend, maxRestarts, activeDeadlineSeconds, ttlSecondsAfterFinished.
"""

from __future__ import annotations

from pydantic.fields import FieldInfo

from finetune_api.spec import FineTuneJobSpec, RunPolicy

_FIXED_IN_RUN_POLICY = ("stallTimeoutSeconds", "gracefulStopSeconds")
_HINT = (
    "cannot be changed after the job was created. Delete the job and create it again; it goes on from its checkpoints if they fit."
)


def fixed_in_spec() -> dict[str, FieldInfo]:
    """Name in the YAML -> field, of the parts of the spec that are fixed as a whole: all but runPolicy."""
    return {_alias(field): field for name, field in FineTuneJobSpec.model_fields.items() if name != "run_policy"}


def changeable() -> list[str]:
    """Names in spec.runPolicy that may change at any time; everything else is fixed."""
    return [name for field in RunPolicy.model_fields.values() if (name := _alias(field)) not in _FIXED_IN_RUN_POLICY]


def validations() -> dict[str, list[dict[str, str]]]:
    """Dotted path of an object -> `x-kubernetes-validations` to add there."""
    spec = [_fixed(name, field) for name, field in fixed_in_spec().items()]
    policy = [_fixed(_alias(field), field) for field in RunPolicy.model_fields.values() if _alias(field) in _FIXED_IN_RUN_POLICY]
    return {"spec": spec, "spec.runPolicy": policy}


def _alias(field: FieldInfo) -> str:
    return str(field.alias)


def _fixed(name: str, field: FieldInfo) -> dict[str, str]:
    same = f"self.{name} == oldSelf.{name}"
    if field.default is None:
        same = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})"
    return {"rule": same, "message": f"{name} {_HINT}", "fieldPath": f".{name}"}
