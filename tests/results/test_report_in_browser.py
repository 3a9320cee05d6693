"""The report as people open it: from a file, in a browser, by day and by night, on a desk and on a phone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from chromium import chromium
from finetune_trainer.results.report.write import write_report
from finetune_trainer.results.samples import Sample, Samples, write_samples
from results.runs import ATTEMPTS, begun, ended, lines, write_run

DESK, PHONE = (1280, 900), (390, 844)
STEPS = 60
SAMPLE = Sample("user\nWhat does os.path.join do?", "Join paths." * 30, "x" * 400, "It joins paths.\nAnd that is all.")
Opened = Callable[..., Page]

DRAWN = "document.querySelectorAll('.chart .main-svg').length >= 2 * document.querySelectorAll('.chart').length"
#: Of each trace: points that plotly has worked out, and the width of its line on the screen.
TRACES = """chart => [...chart.querySelectorAll('.scatterlayer .trace')].map((trace, index) => [
    chart.calcdata[index].length,
    Math.max(0, ...[...trace.querySelectorAll('.js-line')].map(line => line.getBoundingClientRect().width))])"""


def until(page: Page, condition: str, seconds: float = 10.0) -> None:
    """Wait for a condition. Playwright's own way of asking again is forbidden by the page's policy."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a file and waits until it is drawn. In the end nothing may have been complained of, or fetched from anywhere."""
    complaints: list[str] = []

    def open_it(report: Path, size: tuple[int, int] = DESK, scheme: str = "light") -> Page:
        phone = size == PHONE
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_page(viewport=viewport, color_scheme=scheme, has_touch=phone, is_mobile=phone)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda asked: asked.url == report.as_uri() or complaints.append(f"request: {asked.url}"))
        page.goto(report.as_uri())
        until(page, DRAWN)
        return page

    yield open_it
    assert complaints == []


def report_of(tmp_path: Path, *names: str, attempts: list[dict[str, Any]] = ATTEMPTS, sample: Sample = SAMPLE, **spec: Any) -> Path:
    """The report of runs that have seen everything, one for each name."""
    log = lines(STEPS, restarted_at=30)
    folders = {name: write_run(tmp_path / f"run-{index}", log, attempts, **spec) for index, name in enumerate(names)}
    for folder in folders.values():
        write_samples(folder, Samples((sample,)))
    write_report(folders, tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_drawn_and_fits(tmp_path: Path, opened: Opened, size: tuple[int, int], scheme: str) -> None:
    page = opened(report_of(tmp_path, "a", "b"), size, scheme)
    for chart in ("loss", "learning-rate", "throughput", "grad-norm"):
        traces = page.eval_on_selector(f"#{chart}", TRACES)
        whole = [width for points, width in traces if points == STEPS]
        assert len(whole) == 2, f"{chart}: each run has a curve with as many points as lines in its log"
        assert min(whole) > 0.6 * page.locator(f"#{chart}").bounding_box()["width"]
    assert page.locator("#timeline .bars .point").count() == 2 * 14
    assert page.evaluate("document.documentElement.scrollWidth") == size[0], "nothing sticks out"


def test_answers_before_and_after_stand_beside_each_other_and_below_each_other_on_a_phone(tmp_path: Path, opened: Opened) -> None:
    for size, rows in ((DESK, 1), (PHONE, 3)):
        page = opened(report_of(tmp_path / str(rows), "a"), size)
        answers = page.locator(".sample div:not(.prompt) dd")
        assert answers.all_text_contents() == [SAMPLE.before, SAMPLE.after, SAMPLE.expected]
        assert len({answer.bounding_box()["y"] for answer in answers.all()}) == rows


def test_the_colours_follow_day_and_night(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path, "a"), scheme="light")
    look = """() => ['figure', 'figcaption', '#loss .xtick text'].map(name => {
        const style = getComputedStyle(document.querySelector(name));
        return name === 'figure' ? style.backgroundColor : name === 'figcaption' ? style.color : style.fill; })"""
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    until(page, f"({look})()[2] !== '{light[2]}'")
    dark = page.evaluate(look)
    assert light[1] == light[2] and dark[1] == dark[2] != light[1] and dark[0] != light[0]


def test_zooming_one_curve_zooms_them_all_and_a_double_click_shows_all_again(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path, "a"))
    steps = "['loss', 'learning-rate', 'throughput', 'grad-norm'].map(name => document.getElementById(name).layout.xaxis.range)"
    whole = page.evaluate(steps)
    box = page.locator("#loss .nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    page.mouse.up()
    until(page, f"{steps}.every(range => range[0] > 10 && range[1] < 35)")
    assert len({tuple(each) for each in page.evaluate(steps)}) == 1
    page.wait_for_timeout(400)  # Plotly takes a click so soon after a drag for part of it.
    page.mouse.dblclick(box["x"] + box["width"] / 2, middle)
    until(page, f"{steps}.every(range => range[0] <= 1 && range[1] >= {STEPS})")
    assert [each[1] for each in page.evaluate(steps)] == pytest.approx([each[1] for each in whole], rel=0.1)


def test_pointing_at_a_curve_tells_its_values(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path, "a"))
    page.hover("#loss .nsewdrag")
    told = page.locator("#loss .hoverlayer").text_content()
    assert "step 3" in told and "training : 1." in told
    page.locator("#timeline").scroll_into_view_if_needed()
    bar = page.locator("#timeline .bars .point").nth(5).bounding_box()
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    until(page, "document.querySelector('#timeline .hoverlayer').textContent.includes('attempt ')")


def test_a_finger_scrolls_and_taps(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path, "a"), PHONE)
    assert page.evaluate("document.getElementById('loss').layout.dragmode") is False
    page.tap("#loss .nsewdrag")
    page.wait_for_timeout(300)  # So long after a tap browsers may still play a mouse.
    assert "step 3" in page.locator("#loss .hoverlayer").text_content()
    assert page.locator("#loss .modebar").is_visible(), "where nothing hovers, the buttons are always there"


EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'><a href='javascript:hacked=3'>$x$</a>"


def test_what_a_user_wrote_stays_text(tmp_path: Path, opened: Opened) -> None:
    attempts = [begun(0, 0), ended(0, 5, 75, EVIL, EVIL), begun(1, 7), ended(1, 60, 0, "Completed")]
    dataset = {"sources": [{"uri": f"file://{EVIL}", "format": "alpaca"}]}
    report = report_of(tmp_path, EVIL, f"{EVIL} 2", attempts=attempts, sample=Sample(*[EVIL] * 4), dataset=dataset)
    page = opened(report)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, body a").count() == 0
    for place in ("thead", "tbody", "pre", "summary", "figcaption", "dd", "#timeline .annotation-text"):
        texts = page.locator(place).all_text_contents()
        assert place in ("thead", "tbody") or any("<script>window.hacked = 1</script><img" in text for text in texts), place
    assert page.locator("td.text", has_text="<script>window.hacked").count() == 2


def test_a_job_file_with_scripts_in_it_is_shown_as_text(tmp_path: Path, opened: Opened) -> None:
    folder = write_run(tmp_path / "run", lines(3))
    (folder / "finetunejob.yaml").write_text(f"metadata: {{name: {EVIL!r}}}\nkind: {EVIL!r}\n")
    write_report({"a": folder}, tmp_path / "report.html")
    page = opened(tmp_path / "report.html")
    assert page.evaluate("window.hacked") is None and "<script>window.hacked" in page.locator("section p").inner_text()


def test_a_script_that_got_in_all_the_same_would_not_run(tmp_path: Path, browser: Browser) -> None:
    report = report_of(tmp_path, "a")
    report.write_text(report.read_text().replace("</body>", f"{EVIL}</body>"))
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(report.as_uri())
    until(page, DRAWN)
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in refused)
