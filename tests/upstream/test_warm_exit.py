"""The hang that warm_exit.py avoids shows in one exit of three and takes minutes, so it is not tried again in each run."""

import torch


def test_torch_is_the_version_that_was_looked_at() -> None:
    assert torch.__version__.startswith("2.13."), "try whether ranks still hang without leave()"
