"""`debug bundle` holds what a maintainer needs and not one secret, wherever a user may have put it."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from cluster.api import Api
from cluster.kubelet import Kubelet
from cluster_cli.finetune import Finetune
from cluster_cli.test_errors import as_user
from finetune_api.contract import ExitCode
from finetune_cli.cluster import redact
from shell.jobs import Submit, message, secret

#: A different one for each place.
SECRETS = [f"s3cr3t{place}" for place in ("Secret", "Value", "Command", "Annotation", "Message", "Event", "Url")]
HF_TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def job(submit: Submit, api: Api, namespace: str, kubelet: Kubelet) -> None:
    """A failed job, with secrets wherever a careless user can put one."""
    in_secret, value, command, annotation, told, event, url = SECRETS
    api.create(secret(namespace, "hf", token=in_secret))
    env = [
        {"name": "MY_SETTING", "value": value},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
        {"name": "NCCL_DEBUG", "value": "INFO"},
        {"name": "PROXY_SETTING", "value": f"http://me:{url}@proxy"},
    ]
    one = submit(
        trainer={"command": ["python", "train.py", "--api-key", command, f"--hub-token={command}"], "env": env},
        podTemplate={"metadata": {"annotations": {"example.com/note": f"password={annotation}"}}},
        run_policy={"maxRestarts": 0},
    )
    api.patch("FineTuneJob", namespace, "a", {"metadata": {"annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": [{"name": "MY_SETTING", "value": value}]}),
    }}})  # fmt: skip
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    one.wait("Running")
    kubelet.report(first, "Unhealthy", f"GET http://me:{event}@host/ token: {event} failed")
    kubelet.fail(first, 64, message(ExitCode.USER_ERROR, "HubRefused", f"401 for {HF_TOKEN}; Authorization: Bearer {told}xyz"))
    kubelet.wait_for_stopping(1)
    kubelet.finish(second, ExitCode.PREEMPTED)
    one.wait("Failed")


def bundle(finetune: Finetune, *options: str) -> dict[str, str]:
    """What is in the archive, by name without the top folder."""
    text = finetune.says("debug", "bundle", "a", *options)
    path = Path(text.partition(":")[0])
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        names = archive.getnames()
        return {name.partition("/")[2]: archive.extractfile(name).read().decode() for name in names}  # type: ignore[union-attr]


def test_no_secret_is_in_it(finetune: Finetune, job: None):
    files = bundle(finetune)
    everything = "\n".join(files.values())
    assert [one for one in (*SECRETS, HF_TOKEN) if one in everything] == []
    logins = json.loads(Path(finetune.env["KUBECONFIG"]).read_text())
    assert logins["users"][0]["user"]["token"] not in everything and logins["clusters"][0]["cluster"]["server"] not in everything


def test_what_is_needed_is_in_it(finetune: Finetune, job: None):
    files = bundle(finetune)
    pods = sorted(name for name in files if name.startswith("pods/"))
    assert {"describe.txt", "versions.json", "job.yaml", "events.yaml", "missing.txt", "jobs/a-0.yaml"} <= files.keys()
    assert {"services/ftj-a.yaml", "configmaps/ftj-a.yaml", "persistentvolumeclaims/runs.yaml"} <= files.keys() and len(pods) >= 1
    assert "HubRefused" in files["describe.txt"] and "HubRefused" in files["job.yaml"]
    assert "MY_SETTING" in files["job.yaml"] and "value: INFO" in files["job.yaml"] and "name: NNODES" in files[pods[0]]
    assert re.search(r"name: NNODES\n\s+value: '?\"?2", files[pods[0]]), "the operator's own variables are shown"
    assert "secretKeyRef" in files["job.yaml"] and "name: hf" in files["job.yaml"], "where a value comes from is shown"
    assert "Unhealthy" in files["events.yaml"]
    assert "maxRestarts: 0" in files["configmaps/ftj-a.yaml"] and "managedFields" not in "".join(files.values())
    assert json.loads(files["versions.json"])["kubernetes"].startswith("v1.")
    assert f"log of pod {pods[0].removeprefix('pods/').removesuffix('.yaml')}" in files["missing.txt"], "no kubelet has it here"


def test_secrets_are_not_even_read(finetune: Finetune, job: None, api: Api, namespace: str):
    """Who may read everything of the namespace but Secrets gets the whole bundle."""
    groups = {"": ["pods", "pods/log", "events", "services", "configmaps", "persistentvolumeclaims"], "batch": ["jobs"],
              "finetune.dev": ["finetunejobs"]}  # fmt: skip
    rules = [{"apiGroups": [group], "resources": resources, "verbs": ["get", "list"]} for group, resources in groups.items()]
    with as_user(finetune, api, namespace, rules):
        files = bundle(finetune, "--out", "mine.tar.gz")
    assert "You may not list deployments" in files["missing.txt"] and " secrets" not in files["missing.txt"]
    assert "configmaps/ftj-a.yaml" in files and not any(name.startswith("secrets") for name in files)


def test_a_place_that_cannot_be_written(finetune: Finetune, submit: Submit):
    submit()
    text = finetune.says("debug", "bundle", "a", "--out", "nowhere/x.tar.gz", exit_code=2)
    assert text == "nowhere/x.tar.gz cannot be written: No such file or directory.\n"


@pytest.mark.parametrize(
    "leak",
    [
        "HF_TOKEN=hf_abcdefghijkl",
        "token: abcdef123",
        '"api_key": "abcdef123"',
        "--password abcdef123",
        "--wandb-api-key=abcdef123",
        "Authorization: Bearer abcdef123456",
        "https://user:abcdef123@host/path",
        "AWS_SECRET_ACCESS_KEY='abcdef123'",
        "AKIAABCDEFGHIJKLMNOP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmNkZWYifQ.abcdef123",
        "-----BEGIN RSA PRIVATE KEY-----\nabcdef123\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_credentials_in_a_text(leak: str):
    cleaned = redact.text(f"before {leak} after")
    assert redact.REDACTED in cleaned and cleaned.startswith("before ") and cleaned.endswith(" after")
    for part in ("abcdef123", "hf_abc", "AKIAABC", "eyJzdWIi"):
        assert part not in cleaned


@pytest.mark.parametrize(
    "harmless",
    [
        "tokenSecretRef: {name: hf, key: token}",
        "  tokenSecretRef:\n    name: hf",
        "812 tokens/s, total_tokens: 81234",
        '{"total_tokens": 4096, "max_tokens": 12}',
        "automountServiceAccountToken: false",
        "step 7/100 loss 1.5 lr 2.00e-04",
        "training.trainEndOfTurn tokenizer.json http://host:8080/progress",
    ],
)
def test_what_is_no_credential_stays(harmless: str):
    assert redact.text(harmless) == harmless
