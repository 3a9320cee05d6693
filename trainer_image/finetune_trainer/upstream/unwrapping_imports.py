"""accelerate imports DeepSpeed (2 s) whenever it unwraps a model, to see whether it is DeepSpeed's.

Seen in accelerate 1.15 (`extract_model_from_parallel`): it asks whether the package is installed, not whether it is in use.
"""

from __future__ import annotations


def without_deepspeed() -> None:
    """accelerate's question is answered with no from now on."""
    import accelerate.utils.other

    accelerate.utils.other.is_deepspeed_available = lambda: False
