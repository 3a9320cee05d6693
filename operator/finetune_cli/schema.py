"""`finetune schema`: the JSON schema of a job, for editors."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON schema of a job file.

    For completion and checks in an editor:

    finetune schema > finetunejob.schema.json, then as the first line of the job:
    # yaml-language-server: $schema=finetunejob.schema.json
    """
    import json

    from finetune_api.json_schema import editor_schema

    typer.echo(json.dumps(editor_schema(), indent=2))
