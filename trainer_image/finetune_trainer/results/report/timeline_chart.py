"""The time lines as a figure of plotly.js: plain data, in the page's colours (report.js)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from finetune_trainer.results.report.timeline import Kind, Span
from finetune_trainer.results.report.words import clock, duration, plotly_text

Figure = dict[str, Any]

_COLORS: Mapping[Kind, str] = {
    "getting ready": "#8fa3bf",
    "training": "#3b82f6",
    "evaluating": "#a66bde",
    "saving": "#10a37f",
    "finishing": "#0fa3b1",
    "restarting": "#e5484d",
    "suspended": "#d9a514",
}
#: Between attempts nothing runs: hatched, so that colour is not the only sign.
_HATCHED = ("restarting", "suspended")
#: With more spans than this, saves and evaluations that are narrower than a thousandth of a time line are not drawn: plotly.js
#: makes each at least one pixel wide, and a run that saves often would seem to do nothing else.
MAX_SPANS = 200
_NARROW = 1000
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def timeline_chart(timelines: Mapping[str, Sequence[Span]]) -> Figure | None:
    """What each run was doing since its beginning; None when nothing is known of any.

    Args:
        timelines: name of a run -> its time line.
    """
    known = {name: legible(found) for name, found in timelines.items() if found}
    if not known:
        return None
    unit, word = _unit(max(found[-1].end - found[0].start for found in known.values()))
    traces = [_bars(kind, list(known.values()), unit) for kind in _COLORS]
    several = len(known) > 1
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": {
            "barmode": "overlay",
            "height": (100 + 56 * len(known)) if several else 144,
            "hovermode": "closest",
            "xaxis": {"title": {"text": f"{word} since the run began"}, "rangemode": "tozero"},
            # The first run on top.
            "yaxis": {"visible": False, "fixedrange": True, "range": [len(known) - 0.5, -0.6 if several else -0.5]},
            "annotations": [_name(name, row) for row, name in enumerate(known)] if several else [],
        },
    }


def timeline_keys(figure: Figure) -> list[tuple[str, str]]:
    """The legend: (kind, colour)."""
    return [(trace["name"], trace["marker"]["color"]) for trace in figure["data"]]


def legible(found: Sequence[Span]) -> list[Span]:
    """The spans that can be told apart: of very many, training takes in what interrupts it too shortly to be seen."""
    if len(found) <= MAX_SPANS:
        return list(found)
    narrow = (found[-1].end - found[0].start) / _NARROW
    kept: list[Span] = []
    for span in found:
        last = kept[-1] if kept else None
        short = span.kind in ("saving", "evaluating") and span.end - span.start < narrow
        if last and last.kind == "training" and last.attempt == span.attempt and (short or span.kind == "training"):
            kept[-1] = replace(last, end=span.end, what="training, with saves and evaluations too short to be shown")
        else:
            kept.append(span)
    return kept


def _bars(kind: Kind, timelines: Sequence[Sequence[Span]], unit: float) -> Figure:
    rows = [(row, span, span.start - found[0].start) for row, found in enumerate(timelines) for span in found if span.kind == kind]
    pattern = {"pattern": {"shape": "/", "fillmode": "replace", "size": 6}} if kind in _HATCHED else {}
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "y": [row for row, _, _ in rows],
        "width": 0.55,
        "base": [begun / unit for _, _, begun in rows],
        "x": [(span.end - span.start) / unit for _, span, _ in rows],
        "customdata": [
            [span.attempt, plotly_text(span.what), duration(span.end - span.start), clock(span.start)] for _, span, _ in rows
        ],
        "hovertemplate": "attempt %{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}, from %{customdata[3]}<extra></extra>",
        "marker": {"color": _COLORS[kind], "line": {"width": 0}, **pattern},
    }


def _name(name: str, row: int) -> Figure:
    """The name of a run above its time line."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": row - 0.28, "yanchor": "bottom"}
    return {"text": plotly_text(name), "showarrow": False, **place}


def _unit(seconds: float) -> tuple[float, str]:
    """The largest unit of which there are at least two."""
    return next(((unit, word) for unit, word in _UNITS if seconds >= 2 * unit), _UNITS[-1])
