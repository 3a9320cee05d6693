from __future__ import annotations

from ipaddress import ip_interface
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cluster.prepared.place import place


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_names_are_what_the_kernel_takes(folder: str) -> None:
    names = place(Path("/") / folder)
    assert len(names.interface) <= 15
    outside, inside = ip_interface(f"{names.outside}/30"), ip_interface(f"{names.inside}/30")
    assert outside.network == inside.network
    assert set(outside.network.hosts()) == {outside.ip, inside.ip}


def test_two_folders_have_two_engines() -> None:
    one, other = place(Path("/a")), place(Path("/b"))
    assert one.name != other.name
    assert one.interface != other.interface
    assert one.inside != other.inside
