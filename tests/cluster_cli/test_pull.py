"""`pull`, and `plot` and `chat` with a job: the pod that reads the volume, what keeps it from doing so, and what it brings."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.taught import ANSWER, QUESTION, teach
from cluster.api import Api
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, stopping
from cluster_cli.exec_proxy import Proxy, exec_proxy
from cluster_cli.finetune import Finetune
from cluster_cli.test_errors import as_user, line
from finetune_api.contract import ExitCode
from finetune_cli.cluster.fetch import MARKER
from finetune_cli.cluster.reader_pod import LABEL_READER
from finetune_cli.cluster.result import lacks_its_base
from shell.jobs import Submit, Submitted, claim, message

Manifest = dict[str, Any]


@pytest.fixture
def finished(submit: Submit, kubelet: Kubelet) -> Submitted:
    """A job that has succeeded; its nodes tolerate a taint, and its files belong to a user of its own."""
    pod = {"tolerations": [{"key": "gpu", "operator": "Exists"}], "securityContext": {"runAsUser": 1234}}
    job = submit(nodes=1, podTemplate={"spec": pod})
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]), message(ExitCode.OK, "Completed"))
    job.wait("Succeeded")
    return job


def readers(api: Api, namespace: str) -> list[Manifest]:
    """Pods that read for a job, and were not told to stop."""
    return [pod for pod in api.list("Pod", namespace, labels=LABEL_READER) if not stopping(pod)]


def reader(api: Api, namespace: str) -> Manifest:
    """The one that there will be."""
    return eventually(lambda: readers(api, namespace), 20)[0]


def test_the_pod_may_do_nothing_but_read(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    """The namespace enforces restricted Pod Security: a pod that is not would not be there at all."""
    program = finetune.start("pull", "a")
    pod = reader(api, namespace)
    program.signal(signal.SIGINT)
    program.end()
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert pod["metadata"]["name"].startswith("a-read-")
    assert pod["metadata"]["ownerReferences"][0]["uid"] == finished.read()["metadata"]["uid"]
    assert "finetune.dev/job" not in pod["metadata"]["labels"], "the operator would take it for one of its own"
    assert spec["automountServiceAccountToken"] is False and spec["activeDeadlineSeconds"] == 3600
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (1234, True)
    assert {"key": "gpu", "operator": "Exists"} in spec["tolerations"]
    assert container["image"] == "example/trainer:1" and "env" not in container
    assert [(mount["mountPath"], mount["readOnly"]) for mount in container["volumeMounts"]] == [("/volume", True)]
    assert spec["volumes"] == [{"name": "volume", "persistentVolumeClaim": {"claimName": "runs"}}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_pod_goes_with_the_command(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, number: signal.Signals, code: int
):
    program = finetune.start("pull", "a")
    reader(api, namespace)
    program.signal(number)
    assert program.end() == code and "Traceback" not in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_cannot_start(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet):
    program = finetune.start("pull", "a")
    kubelet.image_pull_backoff(reader(api, namespace))
    assert program.end() == 2
    assert program.output.count("\n") == 1 and "cannot start. The image example/trainer:1 cannot be pulled" in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_finds_no_place(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet):
    program = finetune.start("pull", "a", "--timeout", "1")
    kubelet.unschedulable(reader(api, namespace), "0/2 nodes are available: 2 node(s) had volume node affinity conflict.")
    assert program.end() == 2
    assert "has not started within 1 s. It cannot be scheduled: 0/2 nodes" in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_is_waited_for_in_vain(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    text = line(finetune.env, "pull", "a", "--timeout", "1")
    assert (
        f"has not started within 1 s. Wait longer with --timeout, or see what is in its way: kubectl get events -n {namespace}"
        in text
    )
    assert readers(api, namespace) == []


def test_a_pod_that_a_command_left_behind_is_swept(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet
):
    program = finetune.start("pull", "a")
    left = reader(api, namespace)
    program.kill()
    kubelet.fail(left, 1, reason="DeadlineExceeded")
    line(finetune.env, "pull", "a", "--timeout", "1")
    assert readers(api, namespace) == []


def test_a_claim_that_is_gone(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    for pod in api.list("Pod", namespace):  # It is not let go of while a pod has it.
        api.delete("Pod", namespace, pod["metadata"]["name"], grace=0)
    api.delete("PersistentVolumeClaim", namespace, "runs")
    eventually(lambda: api.find("PersistentVolumeClaim", namespace, "runs") is None)
    assert line(finetune.env, "pull", "a") == f"The claim runs is gone from namespace {namespace}, and what a wrote with it.\n"


def test_a_job_that_has_not_started(finetune: Finetune, submit: Submit):
    submit(run_policy={"suspend": True}).wait("Suspended")
    assert "a has not started, so there is nothing to fetch. Suspended." in line(finetune.env, "pull", "a")


def test_a_job_without_output(finetune: Finetune, submit: Submit):
    submit(output={}, model=None, dataset=None, trainer={"command": ["true"]})
    assert "has no output volume" in line(finetune.env, "pull", "a")


@pytest.mark.parametrize("holds", ["someone's notes", '{"from": "pvc://other/job"}'])
def test_files_of_others_are_not_touched(finetune: Finetune, finished: Submitted, api: Api, namespace: str, holds: str):
    folder = Path("runs/a")
    folder.mkdir(parents=True)
    (folder / ".finetune-pulled.json").write_text(holds)
    text = line(finetune.env, "pull", "a")
    held = "what was fetched from pvc://other/job" if holds.startswith("{") else "other files"
    assert text == f"runs/a holds {held}. Name another folder.\n"
    assert readers(api, namespace) == [] and (folder / ".finetune-pulled.json").read_text() == holds


def test_who_may_not_make_pods_is_told(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    rules = [
        {"apiGroups": ["finetune.dev"], "resources": ["finetunejobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    ]
    with as_user(finetune, api, namespace, rules):
        text = line(finetune.env, "pull", "a")
    assert text.startswith("You may not create pods") and f"kubectl auth can-i create pods -n {namespace}" in text


# --- with a volume that can be read -----------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(finetune: Finetune, api: Api, tmp_path: Path) -> Iterator[Proxy]:
    """The command's way to the API server leads through one that can execute; the volume is the folder `volume`."""
    with exec_proxy(api, tmp_path / "volume") as served:
        document = json.loads(Path(finetune.env["KUBECONFIG"]).read_text())
        document["clusters"][0]["cluster"] = {"server": served.url}
        (tmp_path / "proxied").write_text(json.dumps(document))
        finetune.env = {**finetune.env, "KUBECONFIG": str(tmp_path / "proxied")}
        yield served


def write_output(folder: Path, size: int = 2_000_000) -> dict[str, bytes]:
    """An output folder with a result, a checkpoint and state. Returns the files that are fetched as its result."""
    result = {
        "adapter_model.safetensors": os.urandom(size),
        "adapter_config.json": b"{}",
        "trainer_log.jsonl": log(),
        "README.md": b"#",
        ".finetune/done.json": b"{}",
        ".finetune/attempts.jsonl": b"",
    }
    for name, data in {**result, "checkpoints/step-1/model.safetensors": b"c", ".finetune/cache/x": b"x"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return result


def log() -> bytes:
    """Three logged steps."""
    lines = [{"current_steps": step, "total_steps": 3, "loss": 1.0 / step, "lr": 1e-4, "epoch": 1.0} for step in (1, 2, 3)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def files_in(folder: Path) -> dict[str, bytes]:
    """What was fetched."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != MARKER
    }


def test_the_result_comes(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy):
    result = write_output(proxy.volume / "a")
    program = finetune.start("pull", "a")
    kubelet.run(reader(api, namespace))
    assert program.end() == 0, program.output
    assert files_in(Path("runs/a")) == result
    assert program.output.splitlines() == ["6 files, 2.0 MB, in runs/a", "Talk to it: finetune chat runs/a"]
    assert readers(api, namespace) == []


@pytest.mark.parametrize(
    ("source", "file", "lacks"),
    [
        ("pvc://models/llama", "adapter_model.safetensors", True),
        ("pvc://models/llama", "model.safetensors", False),
        ("hf://a/b", "adapter_model.safetensors", False),
    ],
)
def test_an_adapter_whose_base_is_on_a_claim(tmp_path: Path, source: str, file: str, lacks: bool):
    """Then the next command names the job, for which the base model is fetched as well."""
    (tmp_path / file).touch()
    assert lacks_its_base(tmp_path, {"spec": {"model": {"source": source}}}) is lacks


def test_everything_comes_with_all(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy
):
    write_output(proxy.volume / "a", 10)
    program = finetune.start("pull", "a", "mine", "--all")
    kubelet.run(reader(api, namespace))
    assert program.end() == 0
    assert files_in(Path("mine")) == files_in(proxy.volume / "a")


def test_a_broken_connection_is_taken_up_again(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy
):
    """With another pod, and from where it was."""
    result = write_output(proxy.volume / "a")
    proxy.break_after = [500_000, 700_000]
    program = finetune.start("pull", "a")
    seen: set[str] = set()
    for _ in range(3):
        pod = eventually(lambda: [pod for pod in readers(api, namespace) if pod["metadata"]["name"] not in seen], 20)[0]
        seen.add(pod["metadata"]["name"])
        kubelet.run(pod)
    assert program.end() == 0, program.output
    assert files_in(Path("runs/a")) == result


def test_after_ctrl_c_the_same_command_goes_on(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy
):
    result = write_output(proxy.volume / "a", 60_000_000)
    program = finetune.start("pull", "a")
    kubelet.run(reader(api, namespace))

    def parts() -> list[Path]:
        return [part for part in Path("runs/a").glob(".adapter_model*.part") if part.stat().st_size]

    (part,) = eventually(parts, 20)
    program.signal(signal.SIGINT)
    assert program.end() == 130
    here = part.stat().st_size
    assert 0 < here < 60_000_000
    for pod in api.list("Pod", namespace, labels=LABEL_READER):
        kubelet.finish(pod)
    program = finetune.start("pull", "a")
    kubelet.run(reader(api, namespace))
    assert program.end() == 0, program.output
    assert files_in(Path("runs/a")) == result


def test_a_job_whose_folder_is_gone(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy
):
    proxy.volume.mkdir()
    program = finetune.start("pull", "a")
    kubelet.run(reader(api, namespace))
    assert program.end() == 2
    assert program.output.endswith("the output folder is not on the volume\n") and program.output.count("\n") == 1


def test_plot_of_a_job(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy):
    write_output(proxy.volume / "a")
    program = finetune.start("plot", "a")
    kubelet.run(reader(api, namespace))
    assert program.end() == 0 and program.output.endswith("a.png\n"), program.output
    assert Path("a.png").read_bytes().startswith(b"\x89PNG") and not Path("runs").exists()


def test_chat_with_a_job_whose_base_model_is_on_a_claim(
    finetune: Finetune, submit: Submit, api: Api, namespace: str, kubelet: Kubelet, proxy: Proxy, tiny_llama: Path, tmp_path: Path
):
    """Result and base model are fetched once; the second time no pod is needed."""
    (tmp_path / "taught").mkdir()
    output = teach(tmp_path / "taught", "pvc://models/tiny", tiny_llama, {})
    api.create(claim(namespace, "models", "ReadOnlyMany"))
    job = submit(nodes=1, model={"source": "pvc://models/tiny"})
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]), message(ExitCode.OK, "Completed"))
    job.wait("Succeeded")
    shutil.copytree(output, proxy.volume / "a")
    shutil.copytree(tiny_llama, proxy.volume / "tiny")
    finetune.env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    program = finetune.start("chat", "a", "--once", QUESTION)
    seen: set[str] = set()
    for _ in range(2):
        pod = eventually(lambda: [pod for pod in readers(api, namespace) if pod["metadata"]["name"] not in seen], 60)[0]
        seen.add(pod["metadata"]["name"])
        kubelet.run(pod)
    assert program.end() == 0 and program.output.splitlines()[-1] == ANSWER, program.output
    assert finetune.says("chat", "ftj/a", "--once", QUESTION).splitlines()[-1] == ANSWER


def test_chat_without_a_cluster(tmp_path: Path):
    env = {"KUBECONFIG": "/nonexistent"}
    known = "There is no cluster to talk to: no /nonexistent."
    assert line(env, "chat", "a").startswith(f"There is no folder a with a run here, so it is a job on a cluster. {known}")
    assert line(env, "chat", "ftj/a").startswith(known) and line(env, "plot", "ftj/a").startswith(known)


def test_chat_with_a_job_that_still_runs(finetune: Finetune, submit: Submit, kubelet: Kubelet):
    submit()
    kubelet.wait_for_pods(2)
    text = finetune.says("chat", "a", exit_code=2)
    assert "so it is a job on a cluster. FineTuneJob a is Pending: there is no result to talk to." in text
