"""transformers.trainer imports `datasets` (with pandas and pyarrow) and `peft` whenever they are installed, used or not.

Seen in transformers 5.23: `import transformers.trainer` runs `import datasets` and `from peft import PeftModel` at module level:
93 MB and 0.8 s for each rank that needs neither. Ranks read memory-mapped arrays, and only method lora needs peft. So the
`is_X_available` questions are answered with no before transformers.trainer is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable


def hide(packages: Iterable[str]) -> None:
    """Make transformers believe that `packages` are not installed. Call before anything imports transformers.trainer.

    Raises:
        RuntimeError: transformers.trainer was imported already, so it is too late.
    """
    if "transformers.trainer" in sys.modules:
        raise RuntimeError("transformers.trainer is imported already; hide() must run before it")
    import transformers.utils
    import transformers.utils.import_utils

    for package in packages:
        for module in (transformers.utils, transformers.utils.import_utils):
            setattr(module, f"is_{package}_available", lambda *_args, **_kwargs: False)
