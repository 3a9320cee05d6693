"""`kubectl_complete-finetune`: what kubectl (1.26 and newer) runs to complete `kubectl finetune ...`.

kubectl gives the words so far, the last of them the one to complete, and wants lines `VALUE<tab>HELP` and then a directive of
cobra's. typer gives such lines to fish.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys

from finetune_cli.main import app

#: cobra.ShellCompDirectiveDefault and NoFileComp: whether the shell offers files as well.
_FILES_TOO, _NO_FILES = ":0", ":4"


def main() -> None:
    """Print the completions of the words on the command line."""
    *before, last = sys.argv[1:] or [""]
    words = " ".join([shlex.join(["finetune", *before]), last])
    os.environ |= {"_FINETUNE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": words}
    printed = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
        app(args=[], prog_name="finetune")
    lines = printed.getvalue().strip()
    print("\n".join([*([lines] if lines else []), _NO_FILES if lines else _FILES_TOO]))


if __name__ == "__main__":
    main()
