"""Each library bug that is worked around for models: still there? When one of these fails, its module in upstream/ can go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_trainer.upstream import bitsandbytes_cpu_packing
from finetune_trainer.upstream.gguf_rereads import read_once
from finetune_trainer.upstream.safetensors_mode import make_readable
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


def test_gguf_rereads_is_still_needed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gguf
    from transformers import AutoModelForCausalLM

    read, named = [], []
    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    monkeypatch.setattr(gguf, "GGUFReader", lambda *a: read.append(a) or reader(*a))
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *a: named.append(a) or name_map(*a))
    AutoModelForCausalLM.from_pretrained(models / "gguf", gguf_file="tiny-F32.gguf")
    assert len(read) > 1
    assert len(named) > 1
    read.clear()
    named.clear()
    with read_once():
        AutoModelForCausalLM.from_pretrained(models / "gguf", gguf_file="tiny-F32.gguf")
    assert (len(read), len(named)) == (1, 1)


def test_safetensors_mode_is_still_needed(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o600
    previous = os.umask(0o027)
    try:
        make_readable(tmp_path)
    finally:
        os.umask(previous)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


#: A process that believes to have a GPU, and notes when that would be used.
_AS_IF_THERE_WAS_A_GPU = """
import sys, torch
used = []
def lazy_init():
    used.append("CUDA")
    raise RuntimeError("there is none")
torch._C._cuda_getCurrentRawStream = None
torch.cuda.is_available, torch.cuda.device_count, torch.cuda._lazy_init = lambda: True, lambda: 1, lazy_init
"""


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("import peft", "['CUDA'] True"),
        ("from finetune_trainer.upstream import bitsandbytes_import as b; b.load(); import peft", "[] True"),
        ("from finetune_trainer.upstream import bitsandbytes_import as b; b.hide(); import peft", "[] False"),
    ],
)
def test_bitsandbytes_import_is_still_needed(load: str, expected: str) -> None:
    code = f"{_AS_IF_THERE_WAS_A_GPU}\n{load}\nprint(used, bool(sys.modules.get('bitsandbytes')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
    assert ("pip install kernels" in done.stderr) <= load.startswith("import")


def test_bitsandbytes_cpu_packing_is_still_needed(models: Path) -> None:
    """The same gradient before and after an evaluation; as shipped, a processor with AVX512-BF16 gives another one."""
    import torch
    from bitsandbytes.functional import has_avx512bf16
    from transformers import AutoModelForCausalLM

    from finetune_trainer.model.four_bit import four_bit_config

    ids = torch.arange(1, 33)[None]

    def change_by_an_evaluation(model: torch.nn.Module) -> float:
        gradients = []
        for _ in range(2):
            embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
            model.train()
            model(inputs_embeds=embedded, labels=ids).loss.backward()
            gradients.append(embedded.grad)
            model.eval()
            with torch.no_grad():
                model(input_ids=ids)
        return float((gradients[0] - gradients[1]).abs().max() / gradients[0].abs().max())

    as_shipped, repaired = (
        AutoModelForCausalLM.from_pretrained(models / "llama", quantization_config=four_bit_config("float32")) for _ in range(2)
    )
    switches = [module for module in repaired.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    assert len(switches) == 2 * 7  # Layers, linear layers in each: what the workaround switches is there.
    bitsandbytes_cpu_packing.switch_off(repaired)
    assert (change_by_an_evaluation(as_shipped) > 0.1) == has_avx512bf16()
    assert change_by_an_evaluation(repaired) == 0
