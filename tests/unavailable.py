"""What to do where a test cannot run for what the machine lacks."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(reason: object) -> NoReturn:
    """Skip the test and say why. In CI nothing may be lacking: there it fails."""
    if os.environ.get("CI"):
        pytest.fail(str(reason))
    pytest.skip(str(reason))
