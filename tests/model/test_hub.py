"""Fetching from a hub: a small one on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_api.spec import Model
from finetune_trainer.errors import UserError
from finetune_trainer.model import hub as fetching
from finetune_trainer.model.fetch import fetch_model
from finetune_trainer.model.hub import fetch_from_hub
from finetune_trainer.prepared import LocalModel
from hub import TOKEN, Hub, folder_files

EXTRA = {
    "README.md": b"# tiny",
    "pytorch_model.bin": b"x" * 5000,
    "modeling_tiny.py": b"raise SystemExit",
    "onnx/model.onnx": b"x" * 99,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from tiny import make_model

    return folder_files(make_model(tmp_path_factory.mktemp("tiny"))) | EXTRA


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield hub


def fetch(source: str = "hf://acme/tiny", lines: list[str] | None = None, **settings: object) -> LocalModel:
    model = Model(source=source, **settings)
    return fetch_model(model, {}, Path.cwd(), (lines if lines is not None else []).append)


def refused(**kwargs: object) -> UserError:
    with pytest.raises(UserError) as caught:
        fetch(**kwargs)
    return caught.value


def test_only_what_is_needed_is_fetched(served: Hub, files: dict[str, bytes]) -> None:
    repo = served.add("acme/tiny", files)
    local = fetch()
    got = {p.name for p in Path(local.folder).rglob("*") if p.is_file()}
    assert got == files.keys() - EXTRA.keys()
    assert (local.origin, local.revision) == ("acme/tiny", repo.commit)
    assert (Path(local.folder) / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_code_comes_only_with_trust(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", files)
    assert (Path(fetch(trustRemoteCode=True).folder) / "modeling_tiny.py").is_file()


def test_second_fetch_moves_no_bytes(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", files)
    first, sent = fetch(), served.bytes_sent
    assert fetch() == first
    assert served.bytes_sent == sent


def test_progress_is_told_in_bytes(served: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_trainer.model.progress.SECONDS_BETWEEN_REPORTS", 0)
    served.add("acme/tiny", files)
    lines: list[str] = []
    fetch(lines=lines)
    total = sum(len(files[n]) for n in files.keys() - EXTRA.keys()) / 1000
    assert lines[-1] == f"downloading model {total:.1f}/{total:.1f} kB"
    assert len(set(lines)) > 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_broken_connection_is_continued_where_it_broke(
    served: Hub, files: dict[str, bytes], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = 1 << 16  # What came of a chunk when the connection broke is fetched again; huggingface_hub's chunks have 10 MiB.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", chunk)
    repo = served.add("acme/tiny", files, break_once="model.safetensors", how=how)
    local = fetch()
    assert repo.break_once is None
    assert served.ranges == [f"bytes={len(files['model.safetensors']) // 2 // chunk * chunk}-"]
    assert (Path(local.folder) / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_branch_and_commit(served: Hub, files: dict[str, bytes]) -> None:
    repo = served.add("acme/tiny", files, branches=("main", "v1.0"))
    assert fetch("hf://acme/tiny@v1.0").revision == repo.commit
    assert fetch(f"hf://acme/tiny@{repo.commit}").revision == repo.commit


def test_unknown_revision_names_the_nearest(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", files, branches=("main", "v1.0"))
    error = refused(source="hf://acme/tiny@v1.O")
    assert error.reason == "RevisionNotFound"
    assert "v1.0" in error.hint


def test_unknown_repo_names_the_nearest(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", files)
    error = refused(source="hf://acme/tinny")
    assert (error.reason, error.hint) == ("ModelNotFound", "Did you mean hf://acme/tiny?")


def test_private_repo_needs_the_token(served: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    served.add("acme/tiny", files, private=True)
    served.repos["model", "other/x"] = served.repos.pop(("model", "acme/tiny"))
    error = refused(source="hf://other/x")
    assert error.reason == "ModelNotFound"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch("hf://other/x").origin == "other/x"


def test_gated(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", files, gated=True)
    error = refused()
    assert error.reason == "ModelGated"
    assert f"{served.url}/acme/tiny" in error.hint
    assert "HF_TOKEN" in error.hint


def test_refused_token_is_never_shown(served: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    served.add("acme/tiny", files)
    served.refuse_token = True
    monkeypatch.setenv("HF_TOKEN", "hf_verysecretvalue")
    error = refused()
    assert error.reason == "HubTokenRefused"
    chain: BaseException | None = error
    while chain is not None:
        assert "verysecret" not in str(chain)
        chain = chain.__cause__


def test_unreachable_hub_without_a_copy(served: Hub) -> None:
    served.stop()
    lines: list[str] = []
    with pytest.raises(UserError) as caught:
        fetch_from_hub("acme/tiny", None, None, False, lines.append, retry_delays=(0.01,))
    assert caught.value.reason == "HubUnreachable"
    assert served.url in str(caught.value)
    assert sum("trying again" in line for line in lines) == 1


@pytest.mark.parametrize("how", ["stopped", "status 503"])
def test_unreachable_hub_with_a_copy(served: Hub, files: dict[str, bytes], how: str) -> None:
    served.add("acme/tiny", files)
    online = fetch()
    served.stop() if how == "stopped" else setattr(served, "down", True)
    lines: list[str] = []
    assert fetch_from_hub("acme/tiny", None, None, False, lines.append, retry_delays=()) == online
    assert len(lines) == 1
    assert lines[0].startswith("warning: ")


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json"])
def test_an_incomplete_copy_is_not_used(served: Hub, files: dict[str, bytes], lost: str) -> None:
    served.add("acme/tiny", files)
    (Path(fetch().folder) / lost).unlink()
    served.stop()
    with pytest.raises(UserError, match="not in the local cache"):
        fetch_from_hub("acme/tiny", None, None, False, print, retry_delays=())


def test_a_hub_that_comes_back_is_used(served: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    served.add("acme/tiny", files)
    served.down = True
    monkeypatch.setattr(fetching.time, "sleep", lambda _: setattr(served, "down", False))
    assert fetch_from_hub("acme/tiny", None, None, False, print, retry_delays=(1,)).origin == "acme/tiny"


def test_pickled_weights_are_refused(served: Hub, files: dict[str, bytes]) -> None:
    served.add("acme/tiny", {n: d for n, d in files.items() if n != "model.safetensors"})
    error = refused()
    assert error.reason == "ModelUnsupported"
    assert "pytorch_model.bin" in error.message
    assert served.bytes_sent == 0


def test_quantized_weights_are_refused_before_they_are_fetched(served: Hub, files: dict[str, bytes]) -> None:
    config = json.loads(files["config.json"]) | {"quantization_config": {"quant_method": "awq", "bits": 4}}
    served.add("acme/tiny", files | {"config.json": json.dumps(config).encode()})
    error = refused()
    assert (error.reason, "Choose the original" in error.hint) == ("ModelUnsupported", True)
    assert served.bytes_sent < len(files["model.safetensors"]) / 10


def test_gguf_from_the_hub(served: Hub) -> None:
    served.add("acme/tiny", {"a-Q4.gguf": b"GGUF" + bytes(60), "a-Q8.gguf": b"GGUF" + bytes(60)})
    local = fetch(ggufFile="a-Q8.gguf")
    assert local.gguf_file == "a-Q8.gguf"
    assert [p.name for p in Path(local.folder).iterdir()] == ["a-Q8.gguf"]
    assert "a-Q8.gguf" in refused(ggufFile="a-Q9.gguf").hint
    assert "ggufFile: a-Q4.gguf" in refused().hint


def test_datasets_library_reads_from_this_hub(served: Hub, tmp_path: Path) -> None:
    """Keeps hub.py honest for those who load data sets from it; a child process, since datasets reads HF_ENDPOINT at import."""
    import subprocess
    import sys

    rows = [{"text": f"line {i}"} for i in range(3)]
    served.add("acme/lines", {"data/train.jsonl": "\n".join(json.dumps(r) for r in rows).encode()}, kind="dataset")
    code = "import datasets; print(list(datasets.load_dataset('acme/lines', split='train')['text']))"
    env = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str([r["text"] for r in rows]), done.stderr
