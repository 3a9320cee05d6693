"""Under FSDP1, PEFT saves an empty adapter, without a word.

Seen in peft 0.21.2: to find an adapter's tensors it makes prefixes from the names of the model's modules and strips
`_fsdp_wrapped_module.` at their beginning only, while FSDP1 puts it into the middle of the names of wrapped layers. No prefix
matches, and nothing is left to save.
"""

from __future__ import annotations

from typing import Any

_WRAPPED = "_fsdp_wrapped_module."


def apply() -> None:
    """From now on PEFT finds the tensors of adapters in wrapped layers."""
    import peft.tuners.tuners_utils as tuners

    prefixes = tuners._get_tuner_state_dict_key_prefixes

    def clean(*args: Any, **kwargs: Any) -> set[str]:
        return {prefix.replace(_WRAPPED, "") for prefix in prefixes(*args, **kwargs)}

    tuners._get_tuner_state_dict_key_prefixes = clean
