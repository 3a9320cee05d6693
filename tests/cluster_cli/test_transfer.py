"""Files come over whole, once, and again from where a broken connection had left them. The sender is the real one, in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from finetune_cli.cluster import transfer
from finetune_cli.cluster.errors import ClusterError, UnreachableError
from finetune_cli.cluster.fetch import result_files, until_whole
from finetune_cli.cluster.transfer import Remote, RemoteFile, fetch, list_files

BIG = 3_000_017


class Pod:
    """Runs commands as a pod would: chunks of any size, and a connection that breaks after so many bytes."""

    def __init__(self) -> None:
        self.sent = 0
        self.breaks_after: list[int] = []

    def __call__(self, command: Sequence[str]) -> Iterator[bytes]:
        assert command[0] == "python3"
        limit = self.breaks_after.pop(0) if command[3] == "send" and self.breaks_after else None
        with subprocess.Popen([sys.executable, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stderr is not None
            while chunk := child.stdout.read(65_521):
                if limit is not None and self.sent + len(chunk) > limit:
                    child.kill()
                    raise UnreachableError("The cluster does not answer.")
                self.sent += len(chunk)
                yield chunk
            if child.wait():
                raise ClusterError(child.stderr.read().decode().strip().splitlines()[-1])


class Silent:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.here = self.total = 0

    def report(self, message: str) -> None:
        self.reports.append(message)

    def expect(self, here: int, total: int) -> None:
        self.here, self.total = here, total

    def count(self, more: int) -> None:
        self.here += more


@pytest.fixture
def remote_folder(tmp_path: Path) -> Path:
    """An output folder as a run leaves it."""
    folder = tmp_path / "remote"
    contents = {
        "adapter_model.safetensors": os.urandom(BIG),
        "adapter_config.json": b"{}",
        "empty.txt": b"",
        "merged/model.safetensors": os.urandom(1_000_003),
        "name with spaces, ünicode.txt": b"x\ny",
        "checkpoints/step-1/big.safetensors": b"c" * 1000,
        ".finetune/done.json": b"{}",
    }
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    (folder / "link").symlink_to("/etc/passwd")
    return folder


def all_of(pod: Remote, folder: Path, dest: Path, report: Callable[[int], None] = lambda _: None) -> None:
    fetch(pod, str(folder), list_files(pod, str(folder)), dest, report)


def same(folder: Path, dest: Path) -> bool:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    } == {path.relative_to(dest): path.read_bytes() for path in dest.rglob("*") if path.is_file()}


def test_all_files_come_and_come_once(remote_folder: Path, tmp_path: Path):
    pod = Pod()
    all_of(pod, remote_folder, tmp_path / "dest")
    assert same(remote_folder, tmp_path / "dest")
    assert (tmp_path / "dest/empty.txt").stat().st_mtime_ns == 1_700_000_000_123_456_789
    before = pod.sent
    all_of(pod, remote_folder, tmp_path / "dest")
    assert pod.sent - before < 2000, "the second time only names are asked for"


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["model.safetensors", "checkpoints/step-1/x", "merged/checkpoints/x"], ["model.safetensors", "merged/checkpoints/x"]),
        (
            [".finetune/done.json", ".finetune/attempts.jsonl", ".finetune/samples.json", ".finetune/cache/x"],
            [".finetune/done.json", ".finetune/attempts.jsonl", ".finetune/samples.json"],
        ),
        # Without the marker of its end the folder would look like one that a run may start over in.
        ([".finetune/attempts.jsonl", ".finetune/samples.json", "README.md"], ["README.md"]),
    ],
)
def test_what_a_result_is(there: list[str], taken: list[str]):
    assert [file.path for file in result_files([RemoteFile(path, 1, 1) for path in there])] == taken


def test_after_a_break_it_goes_on_from_there(remote_folder: Path, tmp_path: Path):
    pod, meter = Pod(), Silent()
    pod.breaks_after = [1_000_000, 2_500_000, 2_600_000]
    connections = 0

    @contextmanager
    def connect() -> Iterator[Remote]:
        nonlocal connections
        connections += 1
        yield pod

    def once(remote: Remote, count: Callable[[int], None]) -> None:
        files = list_files(remote, str(remote_folder))
        meter.expect(sum(file.bytes_here(tmp_path / "dest") for file in files), sum(file.size for file in files))
        fetch(remote, str(remote_folder), files, tmp_path / "dest", count)

    until_whole(connect, once, meter, sleep=lambda _: None)
    assert same(remote_folder, tmp_path / "dest") and connections == 4
    total = sum(path.stat().st_size for path in (tmp_path / "dest").rglob("*") if path.is_file())
    assert total <= pod.sent < total + 10_000, "no byte came twice"
    assert (meter.here, meter.total) == (total, total)


def test_a_connection_that_brings_nothing_is_given_up(remote_folder: Path, tmp_path: Path):
    pod, meter = Pod(), Silent()
    pod.breaks_after = [0] * 100

    @contextmanager
    def connect() -> Iterator[Remote]:
        yield pod

    with pytest.raises(ClusterError, match=r"What is here already is kept: the same command goes on from there\.$"):
        until_whole(connect, lambda remote, count: all_of(remote, remote_folder, tmp_path / "dest", count), meter, lambda _: None)
    assert len(meter.reports) == 4


def test_half_a_file_of_an_older_version_is_not_used(remote_folder: Path, tmp_path: Path):
    pod = Pod()
    pod.breaks_after = [1_000_000]
    with pytest.raises(UnreachableError):
        all_of(pod, remote_folder, tmp_path / "dest")
    assert len(list((tmp_path / "dest").glob(".adapter_model*.part"))) == 1
    (remote_folder / "adapter_model.safetensors").write_bytes(b"a new one" * 100_000)
    all_of(pod, remote_folder, tmp_path / "dest")
    assert same(remote_folder, tmp_path / "dest")


def test_a_damaged_part_is_noticed_and_fetched_again(remote_folder: Path, tmp_path: Path):
    pod = Pod()
    pod.breaks_after = [1_000_000]
    with pytest.raises(UnreachableError):
        all_of(pod, remote_folder, tmp_path / "dest")
    (part,) = (tmp_path / "dest").glob(".adapter_model*.part")
    part.write_bytes(b"?" + part.read_bytes()[1:])
    with pytest.raises(transfer.DamagedError, match="did not arrive as it was sent"):
        all_of(pod, remote_folder, tmp_path / "dest")
    all_of(pod, remote_folder, tmp_path / "dest")
    assert same(remote_folder, tmp_path / "dest")


def test_a_file_that_changed_here_is_fetched_again(remote_folder: Path, tmp_path: Path):
    pod = Pod()
    all_of(pod, remote_folder, tmp_path / "dest")
    (tmp_path / "dest/adapter_config.json").write_text("{ }")
    all_of(pod, remote_folder, tmp_path / "dest")
    assert same(remote_folder, tmp_path / "dest")


@pytest.mark.parametrize("name", ["../outside", "/etc/cron.d/x", "a/../../outside"])
def test_a_name_never_leads_out_of_the_folder(name: str, tmp_path: Path):
    def remote(command: Sequence[str]) -> Iterator[bytes]:
        yield json.dumps({"path": name, "size": 1, "mtime": 1}).encode() + b"\n"

    with pytest.raises(ClusterError, match="leads out of the folder"):
        list_files(remote, "/volume/a")


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(ClusterError, match="the output folder is not on the volume"):
        list_files(Pod(), str(tmp_path / "nowhere"))


def test_a_disk_without_room_is_told_before_anything_comes(tmp_path: Path):
    files = [RemoteFile("huge", 1 << 60, 1)]
    with pytest.raises(ClusterError, match=r"are still to be fetched, and \S+ has room for"):
        fetch(Pod(), "/volume/a", files, tmp_path, lambda _: None)


def test_many_files(tmp_path: Path):
    folder = tmp_path / "remote"
    folder.mkdir()
    for number in range(123):
        (folder / f"{number}.txt").write_text(str(number))
    all_of(Pod(), folder, tmp_path / "dest")
    assert same(folder, tmp_path / "dest")


def test_checking_what_is_here_gives_signs_of_life(tmp_path: Path):
    """A connection is given up when nothing comes for a minute; the sum over what was sent before may take longer."""
    (tmp_path / "big").write_bytes(bytes(200 << 20))
    command = transfer._command("send", str(tmp_path), {"big": 200 << 20})
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, check=True)
    assert len(done.stderr.splitlines()) == 4 and len(done.stdout) < 1000
