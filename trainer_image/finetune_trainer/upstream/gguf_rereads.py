"""Loading a GGUF file parses it several times, and builds the table of tensor names once per module of the model.

Seen in transformers 5.23 with gguf 0.19: `from_pretrained(gguf_file=...)` makes a GGUFReader for the config and another for the
weights (a vocabulary of 49,000 entries is parsed in Python each time), and `get_gguf_hf_weights_map` calls itself for each module
and builds the same table each time (397 times for 30 layers). SmolLM2-135M, seconds of processor time: 14 for the model alone as
shipped; 9 with this module for model, tokenizer and saving both. It also draws a progress bar that nothing switches off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial


@contextmanager
def read_once() -> Iterator[None]:
    """Within this block each GGUF file is parsed once, and each table built once. Patches gguf: not for two threads at once."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils as loading

    reader, name_map, bar = gguf.GGUFReader, gguf.get_tensor_name_map, loading.tqdm
    gguf.GGUFReader, gguf.get_tensor_name_map, loading.tqdm = cache(reader), cache(name_map), partial(bar, disable=True)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map, loading.tqdm = reader, name_map, bar
