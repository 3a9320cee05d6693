"""The image of a node, and those of Kubernetes' own components, where they cannot be pulled."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cluster.binaries import content, module_folder, version
from cluster.command import run
from cluster.content import digest
from cluster.docker import Docker
from cluster.folders import cache
from cluster.progress import Log

_HERE = Path(__file__).parent
_IN_NODES = "kubeadm kubectl kubelet"
_IN_COMPONENTS = "coredns etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl"
_POD_NETWORK = "finetune/pod-network:1"


def node_image_name(base: str) -> str:
    """The name of the node image, by what decides it."""
    return f"finetune-node:{digest([content(), base, _HERE / 'node'])}"


def node_image(docker: Docker, programs: Path, base: str, log: Log) -> str:
    """The name of the node image, built unless the engine has it. `programs` holds Kubernetes' programs."""
    tag = node_image_name(base)
    if not docker.has(tag):
        log("Building the node image (once; about 40 s)")
        context = _context(_HERE / "node", programs, _IN_NODES)
        _copy_kind_files(context / "kind")
        arguments = {"BASE": base, "PAUSE_IMAGE": _asked_for(programs)["pause"], "KUBERNETES": version("k8s.io/kubernetes")}
        docker.build(tag, context, arguments=arguments)
    return tag


def component_images(docker: Docker, programs: Path, base: str, log: Log) -> list[str]:
    """The names of the images that kubeadm asks for and of the pod network's, built unless the engine has them."""
    wanted = {**_asked_for(programs), "pod-network": _POD_NETWORK}
    mark = f"finetune-components:{components_content(base)}"
    if not docker.has(mark):
        log("Building the images of Kubernetes' components (once; about 30 s)")
        context = _context(_HERE / "components", programs, _IN_COMPONENTS)
        for target, tag in wanted.items():
            docker.build(tag, context, target=target, arguments={"BASE": base})
        docker.run("tag", _POD_NETWORK, mark)
    return list(wanted.values())


def components_content(base: str) -> str:
    """A digest of all that decides what the component images are."""
    return digest([content(), base, _HERE / "components"])


def _asked_for(programs: Path) -> dict[str, str]:
    """Name of a component -> the image that this kubeadm asks for."""
    listed = run([programs / "kubeadm", "config", "images", "list", "--kubernetes-version", version("k8s.io/kubernetes")]).split()
    return {image.rpartition("/")[2].partition(":")[0]: image for image in listed}


def _context(folder: Path, programs: Path, names: str) -> Path:
    """A build context of a folder's files and of programs (hard links: they are large)."""
    context = cache() / "contexts" / folder.name
    if context.exists():
        shutil.rmtree(context)
    shutil.copytree(folder, context)
    for name in names.split():
        os.link(programs / name, context / name)
    return context


def _copy_kind_files(target: Path) -> None:
    """What kind puts into its own node image, from its Go module (where all files are read-only)."""
    shutil.copytree(module_folder("sigs.k8s.io/kind") / "images" / "base" / "files", target, copy_function=shutil.copyfile)
    for folder in [target, *target.rglob("*")]:
        folder.chmod(0o755 if folder.is_dir() or folder.parent.name == "bin" else 0o644)
