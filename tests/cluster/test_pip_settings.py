from __future__ import annotations

from pathlib import Path

from cluster.pip_settings import certificate_file, parse

LISTED = """\
:env:.cert='/environment.crt'
:env:.find-links='/wheels'
global.cert='/file.crt'
global.index-url='https://index.example/simple'
install.no-deps='true'
"""


def test_what_a_build_needs_is_taken_and_the_rest_is_left() -> None:
    assert parse(LISTED) == {"cert": "/environment.crt", "index-url": "https://index.example/simple"}


def test_the_certificates_are_pips_own_setting_before_those_of_other_programs(tmp_path: Path) -> None:
    pip, other = tmp_path / "pip.crt", tmp_path / "other.crt"
    pip.touch(), other.touch()
    assert certificate_file({"cert": str(pip)}, {"SSL_CERT_FILE": str(other)}) == pip
    assert certificate_file({}, {"SSL_CERT_FILE": str(other)}) == other
    assert certificate_file({"cert": str(tmp_path / "missing")}, {}) is None
