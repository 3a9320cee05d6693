"""The `finetune` command: one line here per command, one file per command with a plain function of the same name.

`finetune --help` must stay under 0.3 s, so the top level of a command's file imports the standard library, typer,
finetune_cli.extras and finetune_cli.cluster.options only; what the work needs (finetune_api included) is imported inside the
function, what needs torch or transformers inside `with trainer_extra():`, and what needs a cluster inside `with on_cluster():`.
"""

from __future__ import annotations

import typer

from finetune_cli import chat, explain, export, init, inspect, plot, report, run, schema, validate
from finetune_cli.cluster import debug, describe, list_jobs, logs, pull, status, submit, suspend

app = typer.Typer(
    name="finetune",
    help="Fine-tune language models from one YAML, on this machine or on a Kubernetes cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# In the order in which a person meets them.
app.command("init")(init.init)
app.command("validate")(validate.validate)
app.command("inspect")(inspect.inspect)
app.command("run")(run.run)
app.command("chat")(chat.chat)
app.command("export")(export.export)
app.command("plot")(plot.plot)
app.command("report")(report.report)
app.command("submit")(submit.submit)
app.command("list")(list_jobs.list_jobs)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("describe")(describe.describe)
app.command("suspend")(suspend.suspend)
app.command("resume")(suspend.resume)
app.command("pull")(pull.pull)
app.add_typer(debug.app, name="debug")
app.command("explain")(explain.explain)
app.command("schema")(schema.schema)

if __name__ == "__main__":
    app()
