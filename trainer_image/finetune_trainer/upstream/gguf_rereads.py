"""Loading a GGUF file parses it several times, and builds the table of tensor names once per module of the model.

Seen in transformers 5.23 with gguf 0.19: `from_pretrained(gguf_file=...)` makes a GGUFReader for the config and another for the
weights (3 to 5 s each: a vocabulary of 49,000 entries is parsed in Python), the tokenizer makes a third, and
`get_gguf_hf_weights_map` calls itself for each module and builds the same table each time (397 times for 30 layers: 8 s).
SmolLM2-135M: 20 to 25 s without this module, about 8 s with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def read_once() -> Iterator[None]:
    """Within this block each GGUF file is parsed once, and each table built once. Patches gguf: not for use in two threads at once."""
    import gguf

    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(name_map)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, name_map
