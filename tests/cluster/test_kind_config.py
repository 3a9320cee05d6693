from __future__ import annotations

from pathlib import Path

from cluster import kind_config


def test_the_committed_file_shares_one_folder_between_two_workers() -> None:
    config = kind_config.read()
    assert kind_config.node_names(config) == ["finetune-control-plane", "finetune-worker", "finetune-worker2"]
    assert [len(node.get("extraMounts", [])) for node in config["nodes"]] == [0, 1, 1]
    assert config["nodes"][1] == config["nodes"][2]


def test_another_shared_folder_replaces_the_committed_one() -> None:
    config = kind_config.with_shared(kind_config.read(), Path("/elsewhere"))
    assert kind_config.shared(config) == Path("/elsewhere")
    assert str(kind_config.shared(kind_config.read())) not in str(config)


def test_only_the_shared_mount_is_replaced() -> None:
    other = {"hostPath": "/data", "containerPath": "/data"}
    config = {
        "name": "c",
        "nodes": [{"role": "worker", "extraMounts": [other, {"hostPath": "/a", "containerPath": kind_config.SHARED}]}],
    }
    (node,) = kind_config.with_shared(config, Path("/b"))["nodes"]
    assert node["extraMounts"] == [other, {"hostPath": "/b", "containerPath": kind_config.SHARED}]


def test_mounts_of_a_node_come_beside_those_it_has() -> None:
    config = kind_config.read()
    more = {name: [{"hostPath": f"/own/{name}", "containerPath": "/own"}] for name in kind_config.node_names(config)}
    mounts = [node["extraMounts"] for node in kind_config.with_mounts(config, more)["nodes"]]
    assert [each[-1]["hostPath"] for each in mounts] == [f"/own/{name}" for name in more]
    assert [each[:-1] for each in mounts[1:]] == [node["extraMounts"] for node in config["nodes"][1:]]


def test_the_api_server_listens_elsewhere_and_other_networking_stays() -> None:
    config = {"nodes": [], "networking": {"podSubnet": "10.1.0.0/16"}}
    networking = kind_config.with_api_server(config, "10.0.0.2")["networking"]
    assert networking == {"podSubnet": "10.1.0.0/16", "apiServerAddress": "10.0.0.2", "apiServerPort": 6443}
