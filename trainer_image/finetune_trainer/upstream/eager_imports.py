"""transformers imports other packages whenever they are installed, used or not.

Seen in transformers 5.23: `import transformers.trainer` runs `import datasets` (with pandas and pyarrow) and `from peft import
PeftModel`: 93 MB and 0.8 s for each rank that needs neither. `AutoTokenizer` imports torch with its compiler: 2.4 s of prepare's
3.5. So the `is_X_available` questions are answered with no before anything asks them.
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
