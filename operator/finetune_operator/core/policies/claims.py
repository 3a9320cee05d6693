"""Claims must exist, and several nodes can only share one that was made for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.model import Claim
from finetune_operator.core.references import claims
from finetune_operator.core.refusal import Refusal

_FOR_ALL_TO_WRITE, _FOR_ALL_TO_READ = "ReadWriteMany", "ReadOnlyMany"


def claim_refusals(spec: FineTuneJobSpec, found: Mapping[str, Claim]) -> Iterator[Refusal]:
    """What is wrong with the claims that the job mounts."""
    output = None if spec.output.volume is None else spec.output.volume.persistent_volume_claim.claim_name
    for name in dict.fromkeys(claims(spec)):
        claim = found.get(name)
        if claim is None:
            advice = "Create it, or name another one: kubectl get pvc lists those there are."
            yield Refusal("ClaimNotFound", f"There is no PersistentVolumeClaim {name} in this namespace. {advice}")
            continue
        # All other claims are mounted read-only.
        wanted = (_FOR_ALL_TO_WRITE,) if name == output else (_FOR_ALL_TO_WRITE, _FOR_ALL_TO_READ)
        if spec.distributed.nodes > 1 and not set(wanted) & set(claim.access_modes):
            yield Refusal(
                "ClaimNotShareable",
                f"PersistentVolumeClaim {name} has access mode {', '.join(claim.access_modes) or 'none'}, so pods on different "
                f"nodes cannot mount it at once. With distributed.nodes: {spec.distributed.nodes} it needs {' or '.join(wanted)} "
                "(a shared file system such as NFS or CephFS).",
            )
