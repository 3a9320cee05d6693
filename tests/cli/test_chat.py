"""`finetune chat`: the right model, the right template, the right end, and words for everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.jobs import write_job
from cli.taught import ANSWER, QUESTION, teach
from finetune_cli.chat import chat

app = typer.Typer()
app.command()(chat)


def run(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """Output of a run whose model is on a claim."""
    folder = tmp_path_factory.mktemp("lora")
    shutil.copytree(tiny_llama, folder / "models" / "tiny")
    return teach(folder, "pvc://shared/tiny", folder / "models" / "tiny", {"shared": str(folder / "models")})


@pytest.fixture
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_once_prints_the_answer_and_nothing_else(lora: Path) -> None:
    result = run(lora, "--once", QUESTION)
    assert (result.exit_code, result.stdout) == (0, ANSWER + "\n")


def test_before_training_it_does_not_know(lora: Path) -> None:
    result = run(
        lora.parent / "job.yaml", "--once", QUESTION, "--mount", f"shared={lora.parent / 'models'}", "--max-new-tokens", 12
    )
    assert result.exit_code == 0
    assert ANSWER not in result.stdout


def test_result_of_method_full(tmp_path: Path, tiny_qwen3: Path) -> None:
    output = teach(tmp_path, f"file://{tiny_qwen3}", tiny_qwen3, {}, method="full")
    assert run(output, "--once", QUESTION).stdout == ANSWER + "\n"


def test_a_plain_model_folder(tiny_llama: Path) -> None:
    assert run(tiny_llama, "--once", QUESTION, "--max-new-tokens", 5).exit_code == 0


def test_conversation_of_several_turns(lora: Path) -> None:
    result = run(lora, "--max-new-tokens", 20, typed=f"{QUESTION}\n\nAnd of Italy?\n")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == ANSWER
    assert len(lines) >= 2


def test_a_conversation_longer_than_the_context_starts_anew(tmp_path: Path, lora: Path) -> None:
    import json

    short = Path(shutil.copytree(lora.parent / "models" / "tiny", tmp_path / "tiny"))
    config = json.loads((short / "config.json").read_text()) | {"max_position_embeddings": 48}
    (short / "config.json").write_text(json.dumps(config))
    result = run(lora, "--mount", f"shared={tmp_path}", typed=f"{QUESTION}\n{QUESTION}\n{QUESTION}\n")
    assert result.stdout.split("\n")[:2] == [ANSWER, ANSWER]
    assert result.stderr.count("more than the model's context") == 1


def test_system_message_reaches_the_model(lora: Path) -> None:
    assert run(lora, "--once", QUESTION, "--system", "You are a fish.", "--max-new-tokens", 12).stdout != ANSWER + "\n"


def test_temperature_samples(lora: Path) -> None:
    answers = {
        run(lora.parent / "models" / "tiny", "--once", "hi", "--temperature", 5, "--max-new-tokens", 8).stdout for _ in range(3)
    }
    assert len(answers) > 1


def test_base_model_that_moved(lora: Path, tmp_path: Path) -> None:
    models = lora.parent / "models"
    moved = tmp_path / "elsewhere"
    models.rename(moved)
    try:
        result = run(lora, "--once", QUESTION)
        assert result.exit_code == 1
        assert "base model" in result.stderr
        assert "--mount shared=DIR" in result.stderr
        assert run(lora, "--once", QUESTION, "--mount", f"shared={moved}").stdout == ANSWER + "\n"
    finally:
        moved.rename(models)


def test_base_model_of_a_gguf_file(tmp_path: Path, user_cache: Path) -> None:
    from tiny import make_gguf, make_model

    make_gguf(tmp_path / "gguf")
    output = teach(tmp_path, f"file://{tmp_path}/gguf", make_model(tmp_path / "plain"), {})
    job = output / "finetunejob.yaml"
    job.write_text(job.read_text().replace("/gguf\n", "/gguf\n    ggufFile: tiny-F32.gguf\n"))
    assert run(output, "--once", QUESTION).stdout == ANSWER + "\n"
    assert list((output / ".finetune" / "cache").glob("gguf-*"))
    assert not user_cache.exists()


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda folder: None, "is not the output folder of a run. Expected finetunejob.yaml"),
        (lambda folder: (folder / "adapter_model.safetensors").touch(), "no finetunejob.yaml"),
        (lambda folder: (folder / ".finetune").mkdir(), "has not finished"),
        (lambda folder: [(folder / name).mkdir(parents=True) for name in (".finetune", "checkpoints/step-00000040")], "step 40"),
        (lambda folder: write_job(folder).rename(folder / "finetunejob.yaml"), "has not finished"),
    ],
)  # fmt: skip
def test_folders_that_are_no_results(tmp_path: Path, prepare: object, told: str) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    prepare(folder)
    result = run(folder, "--once", "hi")
    assert result.exit_code == 1
    assert told in result.stderr


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    result = run(tmp_path / "nothing", "--once", "hi")
    assert result.exit_code == 1
    assert "There is no" in result.stderr


def test_a_model_without_chat_template(tmp_path: Path, tiny_llama: Path) -> None:
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "m"))
    (folder / "chat_template.jinja").unlink()
    result = run(folder, "--once", "hi")
    assert result.exit_code == 1
    assert "no chat template" in result.stderr
