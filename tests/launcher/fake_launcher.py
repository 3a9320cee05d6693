"""A real launcher with other ranks: python -m fake_launcher ENTRY."""

import os
import sys

if __name__ == "__main__":  # The imports are inside, because each rank imports this module again.
    from finetune_trainer.launcher import warm
    from finetune_trainer.launcher.main import Program, launch
    from finetune_trainer.launcher.stop import Stop

    program = Program(
        "fake_prepare", f"fake_ranks:{sys.argv[1]}", lambda _: warm.Preload((*warm.START, "fake_ranks", "not_installed"))
    )
    stop = Stop()
    stop.listen()
    code = launch(os.environ, stop, program)
    sys.stdout.flush()
    os._exit(code)
