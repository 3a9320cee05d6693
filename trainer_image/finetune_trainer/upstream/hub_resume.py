"""A download from the hub starts again from zero when its connection is reset, instead of continuing.

Seen in huggingface_hub 2.4: `http_get` continues with a Range request after a ConnectError, a time-out or a RemoteProtocolError
(orderly close), but a reset connection is httpx2.ReadError, which is not on its list: the error ends the download, and the partial
file is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def resets_resumed() -> Iterator[None]:
    """Within this block huggingface_hub continues a download after a reset. Patches the module: not for two threads at once."""
    import httpx2
    from huggingface_hub import file_download

    original = file_download.http_stream_backoff

    @contextmanager
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with original(*args, **kwargs) as response:
            chunks = response.iter_bytes

            def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
                try:
                    yield from chunks(*args, **kwargs)
                except httpx2.ReadError as error:
                    raise httpx2.RemoteProtocolError(f"connection reset: {error}") from error

            response.iter_bytes = iter_bytes
            yield response

    file_download.http_stream_backoff = stream
    try:
        yield
    finally:
        file_download.http_stream_backoff = original
