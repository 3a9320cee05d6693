"""`python -m finetune_operator`: run the operator until SIGTERM."""

from finetune_operator.app import main

if __name__ == "__main__":
    raise SystemExit(main())
