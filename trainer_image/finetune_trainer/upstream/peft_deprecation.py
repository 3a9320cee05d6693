"""PEFT prints a FutureWarning at each adapter: it asks transformers for a property that has a new name.

Seen in peft 0.21.2 with transformers 5.23 (`is_gradient_checkpointing`, now `is_activation_checkpointing`). Between two libraries,
nothing that a user could act on.
"""

from __future__ import annotations

import warnings


def silence() -> None:
    """Leave out this one warning from now on."""
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
