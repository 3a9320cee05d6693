"""The page around the figures: one HTML text with everything in it.

Whatever comes from a user is escaped by Jinja, or is data in a JSON block. Should anything get through all the same, the page's
content security policy lets no script run but the two that it names by their hashes, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from finetune_api.yaml_writer import to_yaml
from finetune_trainer.results.curves import METRICS
from finetune_trainer.results.key_figures import key_figures
from finetune_trainer.results.report.curve_charts import COLORS, curve_charts, curve_keys
from finetune_trainer.results.report.differences import differences
from finetune_trainer.results.report.run import Run
from finetune_trainer.results.report.timeline import spans, state
from finetune_trainer.results.report.timeline_chart import timeline_chart, timeline_keys
from finetune_trainer.results.report.words import clock, duration
from finetune_trainer.results.samples import Samples

_PACKAGE, _ASSETS = "finetune_trainer.results.report", "assets"
_TIMELINE = "timeline"
#: plotly.js writes style elements and attributes; its camera button makes pictures.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class _Shown:
    """A run as the page shows it; `facts` by their name, `attempts` as rows of texts."""

    name: str
    color: str
    state: str
    facts: Mapping[str, str]
    attempts: Sequence[Sequence[str]]
    samples: Samples | None
    yaml: str
    unreadable: str


def page(runs: Sequence[Run], now: float) -> str:
    """The HTML.

    Args:
        runs: at least one, with different names.
        now: Unix time.
    """
    logs = {run.name: run.log for run in runs}
    curves = curve_charts(logs)
    timeline = timeline_chart({run.name: spans(run.attempts, _last_logged(run)) for run in runs})
    scripts = [get_plotlyjs(), _asset("report.js")]
    readable = [run for run in runs if run.manifest]
    shown = [_shown(run, COLORS[index % len(COLORS)]) for index, run in enumerate(runs)]
    template = _environment().get_template("report.html")
    return template.render(
        title=runs[0].job if len(runs) == 1 else f"{len(runs)} runs",
        policy=_POLICY.format(scripts=" ".join(_hash(script) for script in scripts)),
        style=Markup(_asset("report.css")),  # noqa: S704  (ours)
        scripts=[Markup(script) for script in scripts],  # noqa: S704  (plotly's and ours)
        figures=curves | ({_TIMELINE: timeline} if timeline else {}),
        curves=[(name, METRICS[name].label) for name in curves],
        runs=shown,
        fact_names=list(dict.fromkeys(name for run in shown for name in run.facts)),
        compared=[run.name for run in readable],
        differences=differences([run.manifest for run in readable]),
        timeline=_TIMELINE if timeline else "",
        curve_keys=curve_keys(logs),
        timeline_keys=timeline_keys(timeline) if timeline else [],
        written=clock(now),
    )


def _shown(run: Run, color: str) -> _Shown:
    yaml = to_yaml(run.manifest) if run.manifest else ""
    rows = [
        (
            str(attempt.number),
            clock(attempt.begun),
            duration((attempt.end.time if attempt.end else max(attempt.last_seen, _last_logged(run))) - attempt.begun),
            str(attempt.end.step) if attempt.end and attempt.end.step is not None else "",
            attempt.end.reason if attempt.end else "",
            attempt.end.message if attempt.end else "",
        )
        for attempt in run.attempts
    ]
    return _Shown(run.name, color, state(run.attempts), _facts(run), rows, run.samples, yaml, run.unreadable)


def _facts(run: Run) -> dict[str, str]:
    numbers = key_figures(run.log)
    facts = {"Steps": f"{numbers['step']:,} of {numbers['totalSteps']:,}"}
    if "firstLoss" in numbers:
        facts["Loss"] = f"{numbers['firstLoss']:.4g} → {numbers['lastLoss']:.4g}"
    if "evalLoss" in numbers:
        facts["Evaluation loss"] = f"{numbers['evalLoss']:.4g}"
    if "tokensPerSecond" in numbers:
        facts["Tokens/s (median)"] = f"{numbers['tokensPerSecond']:,.0f}"
    facts["Time in training"] = duration(run.log[-1]["elapsed_time"])
    if run.attempts:
        facts["Attempts"] = str(len(run.attempts))
    return facts


def _last_logged(run: Run) -> float:
    return float(run.log[-1]["time"])


def _environment() -> Environment:
    loader = PackageLoader(_PACKAGE, _ASSETS)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _asset(name: str) -> str:
    return (resources.files(_PACKAGE) / _ASSETS / name).read_text()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
