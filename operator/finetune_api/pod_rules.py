"""Rules about the cluster side of a job: its trainer, environment, pods and output volume. Part of the list in rules.py."""

from __future__ import annotations

from finetune_api import contract
from finetune_api.pod_template import PodSpec, Volume
from finetune_api.rule import Rule, cel_value, unique

#: Labels and annotations that the operator or Kubernetes sets itself.
OWNED_PREFIXES = ("finetune.dev/", "batch.kubernetes.io/", "app.kubernetes.io/")
#: Ends of the domains under which older Kubernetes takes AppArmor and seccomp profiles in annotations.
SECURITY_DOMAINS = ("security.alpha.kubernetes.io/", "security.beta.kubernetes.io/")
#: How Kubernetes' own priority classes begin; their pods push out everybody else's, in every namespace.
CLUSTER_PRIORITIES = "system-"
#: How the operator's own volumes are called.
OWNED_VOLUMES = "finetune-"
#: Where the operator mounts something itself.
OWNED_PATHS = (contract.OUTPUT_DIR, contract.CACHE_DIR, contract.MOUNT_ROOT, "/etc/finetune", "/dev/shm", "/tmp")  # noqa: S108
_VOLUME_KINDS = {alias: name for name, field in Volume.model_fields.items() if (alias := str(field.alias)) != "name"}


def _reserved(name: str) -> bool:
    return name in contract.RESERVED_ENV or name.startswith(contract.RESERVED_ENV_PREFIXES)


def _needed_rule(field: str, example: str) -> Rule:
    return Rule(
        f"{field} is needed",
        ("spec",),
        (field, "trainer.command"),
        f"has(self.{field}) || size(self.trainer.command) > 0",
        lambda job: getattr(job, field) is not None or bool(job.trainer.command),
        "is missing.",
        f"For example {field}: {example}. Only a job with trainer.command does without.",
    )


def _absolute_rule(field: str, *at: str) -> Rule:
    return Rule(
        f"{field} of a file is absolute",
        at,
        (field,),
        f"!self.{field}.startsWith('file://') || self.{field}.startsWith('file:///')",
        lambda node: not getattr(node, field).startswith("file://") or getattr(node, field).startswith("file:///"),
        "a relative path is a path of your machine, which the cluster does not have.",
        "Put the files on a volume (pvc://CLAIM/PATH), in a ConfigMap, on the hub (hf://), or give a path inside the image (file:///).",
        cluster=True,
    )


def _owned_rule(field: str) -> Rule:
    mine = " || ".join(f"k.startsWith('{prefix}')" for prefix in OWNED_PREFIXES)
    return Rule(
        f"{field} of ours",
        ("spec.podTemplate.metadata",),
        (field,),
        f"!self.{field}.exists(k, {mine})",
        lambda metadata: not any(key.startswith(OWNED_PREFIXES) for key in getattr(metadata, field)),
        f"{field} under {', '.join(OWNED_PREFIXES)} belong to the operator.",
        "Use a prefix of your own.",
    )


def _claims_read_only(pod: PodSpec) -> bool:
    claims = {volume.name for volume in pod.volumes if volume.persistent_volume_claim is not None}
    return all(mount.read_only or mount.name not in claims for container in pod.containers for mount in container.volume_mounts)


POD_RULES: tuple[Rule, ...] = (
    _needed_rule("model", "{source: hf://Qwen/Qwen3-8B}"),
    _needed_rule("dataset", "{sources: [{uri: hf://tatsu-lab/alpaca, format: alpaca}]}"),
    _absolute_rule("source", "spec.model"),
    _absolute_rule("uri", "spec.dataset.sources[]", "spec.dataset.evalSources[]"),
    Rule(
        "an output volume",
        ("spec",),
        ("output.volume", "trainer.command"),
        "has(self.output.volume) || size(self.trainer.command) > 0",
        lambda job: job.output.volume is not None or bool(job.trainer.command),
        "is missing: results and checkpoints would go with the pods.",
        "Write output: {volume: {persistentVolumeClaim: {claimName: CLAIM}}}.",
        cluster=True,
    ),
    Rule(
        "a folder needs a volume",
        ("spec.output",),
        ("path", "volume"),
        "!has(self.path) || has(self.volume)",
        lambda output: output.path is None or output.volume is not None,
        "path is a folder in output.volume, and there is none.",
        "Give volume as well, or remove path.",
    ),
    # --- environment
    Rule(
        "reserved environment",
        ("spec.trainer.env[]",),
        ("name",),
        f"!(self.name in {cel_value(contract.RESERVED_ENV)}) && "
        + " && ".join(f"!self.name.startsWith('{prefix}')" for prefix in contract.RESERVED_ENV_PREFIXES),
        lambda variable: not _reserved(variable.name),
        "this variable belongs to the launcher, which sets it itself.",
        "Remove it; nodes, processes and ports are set in spec.distributed.",
    ),
    Rule(
        "no secrets in the environment",
        ("spec.trainer.env[]",),
        ("name", "valueFrom"),
        f"has(self.valueFrom) || !(self.name in {cel_value(contract.SECRET_ENV)})",
        lambda variable: variable.value_from is not None or variable.name not in contract.SECRET_ENV,
        "a secret does not belong in a job, which many can read and which is copied into the output folder.",
        "On a cluster use valueFrom: {secretKeyRef: {name, key}}; locally export it in the shell that runs the job.",
    ),
    Rule(
        "environment names are different",
        ("spec.trainer",),
        ("env",),
        "self.env.all(a, self.env.exists_one(b, a.name == b.name))",
        lambda trainer: unique([variable.name for variable in trainer.env]),
        "a variable is set twice.",
        "Keep one of them.",
    ),
    Rule(
        "value or valueFrom",
        ("spec.trainer.env[]",),
        ("value", "valueFrom"),
        "!has(self.valueFrom) || self.value == ''",
        lambda variable: variable.value_from is None or not variable.value,
        "value and valueFrom exclude each other.",
        "Keep one of them.",
    ),
    Rule(
        "one token for the hub",
        ("spec",),
        ("model.tokenSecretRef", "trainer.env"),
        "!has(self.model) || !has(self.model.tokenSecretRef) || !self.trainer.env.exists(v, v.name == 'HF_TOKEN')",
        lambda job: (
            job.model is None or job.model.token_secret_ref is None or all(env.name != "HF_TOKEN" for env in job.trainer.env)
        ),
        "the hub's token is given twice: here and as HF_TOKEN in trainer.env.",
        "Keep one of them.",
    ),
    # --- pods
    _owned_rule("labels"),
    _owned_rule("annotations"),
    Rule(
        "no profiles in annotations",
        ("spec.podTemplate.metadata",),
        ("annotations",),
        f"!self.annotations.exists(k, {cel_value(SECURITY_DOMAINS)}.exists(domain, k.contains(domain)))",
        lambda metadata: not any(domain in key for key in metadata.annotations for domain in SECURITY_DOMAINS),
        "an annotation chooses an AppArmor or seccomp profile.",
        "Remove it: pods run under the runtime's own profiles.",
    ),
    Rule(
        "priorities of the cluster",
        ("spec.podTemplate.spec",),
        ("priorityClassName",),
        f"!has(self.priorityClassName) || !self.priorityClassName.startsWith('{CLUSTER_PRIORITIES}')",
        lambda pod: pod.priority_class_name is None or not pod.priority_class_name.startswith(CLUSTER_PRIORITIES),
        f"priority classes that begin with {CLUSTER_PRIORITIES} are for the cluster's own pods.",
        "Name another one: kubectl get priorityclasses lists those there are.",
    ),
    Rule(
        "Exists takes every value",
        ("spec.podTemplate.spec.tolerations[]",),
        ("value", "operator"),
        "self.operator != 'Exists' || !has(self.value)",
        lambda toleration: toleration.operator != "Exists" or toleration.value is None,
        "operator Exists takes every value.",
        "Remove value, or write operator: Equal.",
    ),
    Rule(
        "Equal needs a key",
        ("spec.podTemplate.spec.tolerations[]",),
        ("key", "operator"),
        "self.operator != 'Equal' || has(self.key)",
        lambda toleration: toleration.operator != "Equal" or toleration.key is not None,
        "operator Equal compares the value of a key, and there is none.",
        "Write the taint's key, or operator: Exists for every taint.",
    ),
    Rule(
        "only NoExecute takes time",
        ("spec.podTemplate.spec.tolerations[]",),
        ("tolerationSeconds", "effect"),
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        lambda toleration: toleration.toleration_seconds is None or toleration.effect == "NoExecute",
        "only pods that a taint drives out can stay for a while.",
        "Write effect: NoExecute, or remove tolerationSeconds.",
    ),
    Rule(
        "one kind of volume",
        ("spec.podTemplate.spec.volumes[]",),
        ("name", ""),
        f"[{', '.join(f'has(self.{kind})' for kind in _VOLUME_KINDS)}].filter(given, given).size() == 1",
        lambda volume: sum(getattr(volume, name) is not None for name in _VOLUME_KINDS.values()) == 1,
        "a volume is exactly one kind.",
        f"Give one of {', '.join(_VOLUME_KINDS)}.",
    ),
    Rule(
        "volume names are different",
        ("spec.podTemplate.spec",),
        ("volumes",),
        "self.volumes.all(a, self.volumes.exists_one(b, a.name == b.name))",
        lambda pod: unique([volume.name for volume in pod.volumes]),
        "a volume is given twice.",
        "Give each a name of its own.",
    ),
    Rule(
        "volume names of ours",
        ("spec.podTemplate.spec.volumes[]",),
        ("name",),
        f"!self.name.startsWith('{OWNED_VOLUMES}')",
        lambda volume: not volume.name.startswith(OWNED_VOLUMES),
        f"names that begin with {OWNED_VOLUMES} belong to the operator.",
        "Choose another name.",
    ),
    Rule(
        "mounted volumes exist",
        ("spec.podTemplate.spec",),
        ("containers", "volumes"),
        "self.containers.all(c, c.volumeMounts.all(m, self.volumes.exists(v, v.name == m.name)))",
        lambda pod: {mount.name for c in pod.containers for mount in c.volume_mounts} <= {volume.name for volume in pod.volumes},
        "a volumeMount names a volume that is not in podTemplate.spec.volumes.",
        "Add the volume, or correct the name.",
    ),
    Rule(
        "claims are written as output only",
        ("spec.podTemplate.spec",),
        ("containers", "volumes"),
        "self.containers.all(c, c.volumeMounts.all(m, m.readOnly || "
        "!self.volumes.exists(v, v.name == m.name && has(v.persistentVolumeClaim))))",
        _claims_read_only,
        "a claim is mounted to be written, and other jobs may have their results there.",
        "Add readOnly: true to the volumeMount. What a job writes goes to its own folder of output.volume, or to an emptyDir.",
    ),
    Rule(
        "mounts stay out of ours",
        ("spec.podTemplate.spec.containers[].volumeMounts[]",),
        ("mountPath",),
        f"{cel_value(OWNED_PATHS)}.all(p, self.mountPath != p && !self.mountPath.startsWith(p + '/')) "
        "&& !self.mountPath.matches('/[.][.]?(/|$)')",
        lambda mount: (
            all(mount.mount_path != path and not mount.mount_path.startswith(f"{path}/") for path in OWNED_PATHS)
            and not {".", ".."} & set(mount.mount_path.split("/"))
        ),
        f"the operator mounts {', '.join(OWNED_PATHS)} itself, and a path has no . or .. in it.",
        "Choose another path, for example /scripts.",
    ),
    Rule(
        "one volume at each path",
        ("spec.podTemplate.spec.containers[]",),
        ("volumeMounts",),
        "self.volumeMounts.all(a, self.volumeMounts.exists_one(b, a.mountPath == b.mountPath))",
        lambda container: unique([mount.mount_path for mount in container.volume_mounts]),
        "two volumes are mounted at the same path.",
        "Give each a path of its own.",
    ),
)
