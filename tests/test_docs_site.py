"""The documentation builds as a site: no broken reference or anchor, no page outside of the table of contents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_it_builds_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "--builder", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [page.stem for page in DOCS.glob("*.md") if not (tmp_path / f"{page.stem}.html").is_file()] == []
