from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cluster.content import digest


@given(st.lists(st.text()), st.lists(st.text()))
def test_other_strings_have_another_digest(one: list[str], other: list[str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_a_folder_is_its_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.py").write_text("a")
    first = digest([folder])
    (folder / "inner" / "__pycache__").mkdir()
    (folder / "inner" / "__pycache__" / "a.pyc").write_text("compiled")
    assert digest([folder]) == first
    (folder / "inner" / "a.py").rename(folder / "inner" / "b.py")
    renamed = digest([folder])
    (folder / "inner" / "b.py").write_text("b")
    assert len({first, renamed, digest([folder])}) == 3


def test_a_folder_is_the_same_in_another_checkout(tmp_path: Path) -> None:
    for checkout in ("one", "two"):
        (tmp_path / checkout / "package").mkdir(parents=True)
        (tmp_path / checkout / "package" / "a.py").write_text("a")
    assert digest([tmp_path / "one" / "package"]) == digest([tmp_path / "two" / "package"])
