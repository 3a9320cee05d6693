"""`finetune export`: a folder that plain transformers loads, with the logits of base and adapter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from cli.taught import ANSWER, QUESTION, teach
from finetune_cli.export import export

app = typer.Typer()
app.command()(export)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    return teach(tmp_path_factory.mktemp("lora"), f"file://{tiny_llama}", tiny_llama, {})


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(40).reshape(2, 20)).logits


def test_merged_model_is_base_and_adapter(output: Path, tiny_llama: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = run(output, tmp_path / "new" / "model")
    assert (result.exit_code, result.stdout.strip()) == (0, str(tmp_path / "new" / "model"))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "new" / "model")
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_llama), output)
    assert (logits(merged) - logits(adapted)).abs().max() < 1e-4
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "new" / "model")
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_tensors="pt")
    answer = merged.generate(**prompt, max_new_tokens=60, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == ANSWER
    assert {p.name for p in (tmp_path / "new" / "model").iterdir()} == {p.name for p in tiny_llama.iterdir()}


def test_dtype(output: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    assert run(output, tmp_path / "m", "--dtype", "bfloat16").exit_code == 0
    assert {t.dtype for t in load_file(tmp_path / "m" / "model.safetensors").values()} == {torch.bfloat16}


def test_result_of_method_full(tmp_path: Path, tiny_qwen3: Path) -> None:
    from transformers import AutoModelForCausalLM

    output = teach(tmp_path, f"file://{tiny_qwen3}", tiny_qwen3, {}, method="full")
    assert run(output, tmp_path / "m").exit_code == 0
    exported, own = (AutoModelForCausalLM.from_pretrained(folder) for folder in (tmp_path / "m", output))
    assert torch.equal(logits(exported), logits(own))
    assert not (tmp_path / "m" / "finetunejob.yaml").exists()


def test_a_folder_with_other_files(output: Path, tmp_path: Path) -> None:
    dest = tmp_path / "m"
    dest.mkdir()
    (dest / "notes.txt").write_text("mine")
    (dest / "model-00001-of-00002.safetensors").touch()
    refused = run(output, dest)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert sorted(p.name for p in dest.iterdir()) == ["model-00001-of-00002.safetensors", "notes.txt"]
    assert run(output, dest, "--force").exit_code == 0
    assert (dest / "notes.txt").read_text() == "mine"
    assert [p.name for p in dest.glob("*.safetensors")] == ["model.safetensors"]


def test_a_failed_export_leaves_the_old_model(output: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(output, tmp_path / "broken"))
    (broken / "tokenizer_config.json").write_text("{")
    dest = tmp_path / "m"
    assert run(output, dest).exit_code == 0
    before = {p.name: p.read_bytes() for p in dest.iterdir()}
    assert run(broken, dest, "--force").exit_code == 1
    assert {p.name: p.read_bytes() for p in dest.iterdir()} == before


@pytest.mark.parametrize("dest", ["", "README"])
def test_destinations_that_are_refused(output: Path, dest: str) -> None:
    (output / "README").touch()
    result = run(output, output / dest, "--force")
    assert result.exit_code == 1
    assert "folder" in result.stderr
    assert (output / "adapter_model.safetensors").is_file()
