"""A Chromium that tests can drive: the one of this machine, or Debian's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from cluster.command import CommandError
from cluster.debian_packages import install
from cluster.lacks import Lacking
from unavailable import unavailable

_PACKAGE = "chromium-headless-shell"
_PROGRAMS = (_PACKAGE, "chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Where there is none and none can be installed, the test is skipped; in CI that is a failure.

    Leave it before another test runs an event loop: while it is open, this thread has one.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program())
        try:
            yield browser
        finally:
            browser.close()


def _program() -> str:
    if not any(map(shutil.which, _PROGRAMS)):
        try:
            install({_PACKAGE: _PACKAGE}, print)
        except (Lacking, CommandError) as error:
            unavailable(f"no Chromium: {error}")
    return next(path for program in _PROGRAMS if (path := shutil.which(program)))
