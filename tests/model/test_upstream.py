"""Each library bug that is worked around for models: still there? When one of these fails, its module in upstream/ can go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub import Hub


def test_hub_resume_is_still_needed(tmp_path: Path) -> None:
    import httpx2
    from huggingface_hub import hf_hub_download

    with Hub() as hub:
        hub.add("acme/tiny", {"model.safetensors": bytes(500_000)}, break_once="model.safetensors", how="reset")
        with pytest.raises(httpx2.ReadError):
            hf_hub_download("acme/tiny", "model.safetensors", endpoint=hub.url, cache_dir=tmp_path)
        assert hub.ranges == []
        assert not list(tmp_path.rglob("*.incomplete"))
