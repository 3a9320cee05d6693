"""The report as people open it: from a file, in a browser, by day and by night, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from chromium import chromium
from finetune_trainer.results.report.write import write_report
from results.runs import ATTEMPTS, begun, ended, lines, write_run

DESK, PHONE = (1280, 900), (390, 844)
CHARTS = ("loss", "learning-rate", "throughput", "grad-norm", "timeline")
STEPS = 60
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a file and waits until it is drawn. In the end, nothing may have been complained of or asked of a network."""
    complaints: list[str] = []

    def open_it(report: Path, size: tuple[int, int] = DESK, scheme: str = "light") -> Page:
        phone = size == PHONE
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=phone, is_mobile=phone
        )
        page = context.new_page()
        address = report.absolute().as_uri()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda asked: asked.url in (address,) or asked.url.startswith("blob:") or complaints.append(asked.url))
        page.goto(address)
        page.wait_for_function(
            "document.querySelectorAll('.chart').length && [...document.querySelectorAll('.chart')].every(c => c.on)"
        )
        return page

    yield open_it
    assert complaints == []


def report_of(tmp_path: Path, *names: str) -> Path:
    """The report of runs that have seen everything, one for each name."""
    log = lines(STEPS, restarted_at=30)
    folders = {name: write_run(tmp_path / f"run-{index}", log, ATTEMPTS) for index, name in enumerate(names)}
    write_report(folders, tmp_path / "report.html")
    return tmp_path / "report.html"


def drawn(page: Page, chart: str) -> list[tuple[int, bool]]:
    """Of each trace of a figure: how many points plotly has worked out, and whether there is a line on the screen."""
    return page.evaluate(
        """chart => document.getElementById(chart).calcdata.map(points => [
             points.filter(point => point.x !== undefined && !Number.isNaN(point.y)).length,
             (points[0].node3?.node().getBoundingClientRect().width ?? 0) > 50])""",
        chart,
    )
