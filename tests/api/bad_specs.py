"""A good job, and what happens when one thing in it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune_api.overrides import apply_overrides

GOOD: dict[str, Any] = {
    "apiVersion": "finetune.dev/v1alpha1",
    "kind": "FineTuneJob",
    "metadata": {"name": "good", "labels": {"team": "nlp"}},
    "spec": {
        "model": {"source": "hf://Qwen/Qwen3-8B@main"},
        "dataset": {
            "sources": [
                {"uri": "hf://tatsu-lab/alpaca", "format": "alpaca"},
                {"uri": "pvc://data/chats.jsonl", "format": "openai", "columns": {"messages": "turns"}, "weight": 0.5},
            ],
            "maxLength": 1024,
        },
        "training": {"lora": {"rank": 8}, "learningRate": 2e-4, "extraArgs": {"neftune_noise_alpha": 5}},
        "distributed": {"nodes": 2, "processesPerNode": 4},
        "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}},
        "trainer": {"env": [{"name": "NCCL_DEBUG", "value": "INFO"}]},
    },
}

#: Other good jobs, as changes of GOOD.
GOOD_CHANGES: dict[str, list[str]] = {
    "as it is": [],
    "integer for a float": ["spec.training.learningRate=1"],
    "whole float for an integer": ["spec.training.maxSteps=20.0", "spec.distributed.nodes=1e2"],
    "key without a value": ["spec.training=", "spec.distributed={}"],
    "eval fraction": ["spec.dataset.evalFraction=0.1", "spec.training.evalSteps=10"],
    "eval sources": [
        "spec.dataset.evalSources=[{uri: configmap://eval/rows.jsonl, format: sharegpt}]",
        "spec.training.evalSteps=10",
    ],
    "full": ["spec.training={method: full}", "spec.model.dtype=float32"],
    "full in bf16": ["spec.training={method: full}", "spec.model.dtype=bfloat16"],
    "merged": ["spec.output.mergeAdapter=true"],
    "pretraining": ["spec.training.stage=pt", "spec.dataset.sources=[{uri: 'file:///books/a.txt', format: text}]"],
    "target modules": ["spec.training.lora.targetModules=[q_proj, v_proj]"],
    "constant": ["spec.training.lrSchedulerType=constant"],
    "constant without warm-up": ["spec.training.lrSchedulerType=constant", "spec.training.warmupRatio=0"],
    "gguf": ["spec.model={source: file:///models, ggufFile: small.Q8_0.gguf}"],
    "split and subset": ["spec.dataset.sources=[{uri: hf://a/b, format: openai, split: 'train[:5%]', subset: en}]"],
    "same hub data, two subsets": [
        "spec.dataset.sources=[{uri: hf://a/b, format: openai, subset: en}, {uri: hf://a/b, format: openai, subset: de}]"
    ],
    "deadline": ["spec.runPolicy={activeDeadlineSeconds: 3600, gracefulStopSeconds: 60}"],
    "claim folder with dots in its name": ["spec.model.source=pvc://models/a..b/c"],
    "deepspeed": ["spec.distributed={strategy: deepspeed, deepspeed: {preset: zero3-offload}}"],
    "own configuration": ["spec.distributed={strategy: deepspeed, deepspeed: {config: {zero_optimization: {stage: 1}}}}"],
    "own configuration in a ConfigMap": ["spec.distributed={strategy: fsdp, fsdp: {configMapRef: {name: fsdp, key: fsdp.yaml}}}"],
    "fsdp": ["spec.distributed={strategy: fsdp, fsdp: {preset: fsdp1}}", "spec.training.optim=sgd"],
    "qlora": [
        "spec.training.method=qlora",
        "spec.output.mergeAdapter=true",
        "spec.distributed={strategy: fsdp, fsdp: {preset: fsdp2}}",
    ],
    "own trainer": [
        "spec.model=",
        "spec.dataset=",
        "spec.output={}",
        "spec.trainer={image: a/b:1, command: [torchrun, /scripts/train.py]}",
    ],
    "started by accelerate": ["spec.distributed={launcher: accelerate, rendezvousTimeoutSeconds: 60}"],
    "started by DeepSpeed": ["spec.distributed.launcher=deepspeed"],
    "suspended": ["spec.runPolicy={suspend: true, ttlSecondsAfterFinished: 0}"],
    "folder in the volume": ["spec.output.path=results-qwen3_8b.1"],
    "token of a Secret": ["spec.model.tokenSecretRef={name: hf}"],
    "environment from a Secret": [
        "spec.trainer.env=[{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: hf}}}, {name: A, value: ''}]"
    ],
    "resources": [
        "spec.resources={limits: {nvidia.com/gpu: 4, memory: 900Gi, cpu: 16}, "
        "requests: {memory: 1Gi, cpu: 1500m, nvidia.com/gpu: '4', ephemeral-storage: 10G}, sharedMemory: 0}"
    ],
    "no GPUs": ["spec.resources.limits={nvidia.com/gpu: 0, hugepages-2Mi: 64Mi}", "spec.resources.requests={memory: '1.5Gi'}"],
    "labels and annotations": [
        "spec.podTemplate.metadata={labels: {kueue.x-k8s.io/queue-name: team, empty: ''}, annotations: {a.b/c: any text}}"
    ],
    "scheduling": [
        "spec.podTemplate.spec={nodeSelector: {gpu: a100}, priorityClassName: high, schedulerName: volcano, "
        "runtimeClassName: nvidia, imagePullSecrets: [{name: registry}], "
        "affinity: {nodeAffinity: {anything: [1, {goes: here}]}, podAffinity: {a: [{matchLabels: {namespaces: b}}]}}, "
        "securityContext: {runAsUser: 1234, runAsGroup: 1, fsGroup: 5, supplementalGroups: [7]}}",
        "spec.podTemplate.spec.tolerations=[{operator: Exists}, {key: a.b/c, value: d, effect: NoSchedule}, "
        "{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]",
    ],
    "volumes": [
        "spec.podTemplate.spec.volumes=[{name: scripts, configMap: {name: scripts}}, {name: keys, secret: {secretName: keys}}, "
        "{name: models, persistentVolumeClaim: {claimName: models}}, {name: scratch, emptyDir: {medium: Memory, sizeLimit: 1Gi}}, "
        "{name: disk, emptyDir: {}}]",
        "spec.podTemplate.spec.containers=[{volumeMounts: [{name: scripts, mountPath: /scripts/train.py, subPath: train.py}, "
        "{name: scratch, mountPath: /scratch, readOnly: true}]}]",
    ],
    "extra values of each type": ["spec.training.extraArgs={torch_compile: true, adam_beta2: 0.95, optim_args: rank=4, tf32: no}"],
}


@dataclass(frozen=True)
class Bad:
    """Changes of GOOD (PATH=VALUE), separated by ` & `, where the problem is reported, and words of what is said."""

    changes: str
    path: str
    says: str

    @property
    def data(self) -> Any:
        return changed(self.changes.split(" & "))


def changed(changes: list[str]) -> Any:
    """GOOD with changes."""
    data, _, problems = apply_overrides(GOOD, changes)
    assert problems == []
    return data


BAD = [
    # --- header
    Bad("apiVersion=finetune.dev/v1", "apiVersion", "Write apiVersion: finetune.dev/v1alpha1."),
    Bad("apiVersion=", "apiVersion", "is missing. Write apiVersion"),
    Bad("kind=FinetuneJob", "kind", "is 'FinetuneJob'. Write kind: FineTuneJob."),
    Bad("kind=", "kind", "is missing. Write kind: FineTuneJob."),
    Bad("metadata=", "metadata", "is missing. It needs at least name."),
    Bad("metadata.name=", "metadata.name", "is missing."),
    Bad("metadata.name=My_Job", "metadata.name", "Small letters, digits and -: my-job."),
    Bad(f"metadata.name={'x' * 53}", "metadata.name", "has 53 characters. It needs at most 52 characters."),
    Bad("spec=", "spec", "is missing. Its fields are model, dataset, training"),
    Bad("status2={}", "status2", "is not a field of the API."),
    # --- required, unknown, misplaced, foreign
    Bad("spec.model=", "spec.model", "is missing. For example model: {source: hf://"),
    Bad("spec.model.source=", "spec.model.source", "For example source: hf://"),
    Bad("spec.dataset=", "spec.dataset", "is missing. For example dataset: {sources: [{uri: hf://"),
    Bad("spec.dataset.sources[1].format=", "spec.dataset.sources[1].format", "One of: alpaca, sharegpt, openai, text."),
    Bad("spec.dataset.sources[0].uri=", "spec.dataset.sources[0].uri", "is missing."),
    Bad("spec.output.volume.persistentVolumeClaim={}", "spec.output.volume.persistentVolumeClaim.claimName", "is missing."),
    Bad("spec.trainng={}", "spec.trainng", "Did you mean training?"),
    Bad("spec.training.learnigRate=1e-4", "spec.training.learnigRate", "Did you mean learningRate?"),
    Bad("spec.training.learning_rate=1e-4", "spec.training.learning_rate", "Write learningRate."),
    Bad(
        "spec.training.per_device_train_batch_size=1", "spec.training.per_device_train_batch_size", "Write perDeviceTrainBatchSize."
    ),
    Bad("spec.training.lora_rank=4", "spec.training.lora_rank", "That is spec.training.lora.rank here."),
    Bad("spec.learningRate=1e-4", "spec.learningRate", "It belongs under spec.training."),
    Bad("spec.training.nodes=2", "spec.training.nodes", "It belongs under spec.distributed."),
    Bad("spec.cutoff_len=512", "spec.cutoff_len", "That is spec.dataset.maxLength here."),
    Bad("spec.model.model_name_or_path=x", "spec.model.model_name_or_path", "Did you mean source?"),
    Bad("spec.training.torch_compile=true", "spec.training.torch_compile", "spec.training.extraArgs.torch_compile"),
    Bad("spec.replicas=2", "spec.replicas", "That is spec.distributed.nodes here."),
    Bad("spec.zebra=1", "spec.zebra", "Known here: model, dataset, training"),
    Bad("spec.dataset.sources[0].colums={}", "spec.dataset.sources[0].colums", "Did you mean columns?"),
    # --- types
    Bad(
        "spec.training.learningRate='2e-4'",
        "spec.training.learningRate",
        "must be a number, not the text '2e-4'. Leave the quotes out: 2e-4.",
    ),
    Bad("spec.training.learningRate=fast", "spec.training.learningRate", "must be a number, not the text 'fast'."),
    Bad("spec.training.maxSteps=1.5", "spec.training.maxSteps", "must be a whole number, not 1.5."),
    Bad("spec.training.maxSteps=yes", "spec.training.maxSteps", "must be a whole number, not true."),
    Bad(
        "spec.dataset.packing='true'",
        "spec.dataset.packing",
        "must be true or false, not the text 'true'. Leave the quotes out: true.",
    ),
    Bad("spec.dataset.packing=1", "spec.dataset.packing", "must be true or false, not the number 1."),
    Bad("spec.trainer.env[0].value=1", "spec.trainer.env[0].value", 'not the number 1. Write it in quotes: "1".'),
    Bad("spec.trainer.env[0].value=on", "spec.trainer.env[0].value", "write it in quotes"),
    Bad("spec.training=[1]", "spec.training", "must be a mapping, not a list. Its fields are stage, method"),
    Bad(
        "spec.dataset.sources={uri: hf://a/b}", "spec.dataset.sources", "must be a list, not a mapping. Start each entry with '- '."
    ),
    Bad(
        "spec.dataset.sources[0]=hf://a/b",
        "spec.dataset.sources[0]",
        "must be a mapping, not the text 'hf://a/b'. Its fields are uri",
    ),
    Bad(
        "spec.training.lora.targetModules=all-linear",
        "spec.training.lora.targetModules",
        "must be a list, not the text 'all-linear'. Write [all-linear].",
    ),
    Bad(
        "spec.training.extraArgs={torch_compile: [1]}",
        "spec.training.extraArgs.torch_compile",
        "a list cannot be given to TrainingArguments.",
    ),
    Bad("spec.model.source=7", "spec.model.source", "must be text, not the number 7."),
    # --- ranges and sizes
    Bad(
        "spec.training.learningRate=0",
        "spec.training.learningRate",
        "0 is out of range. Write a number of more than 0, at most 10.",
    ),
    Bad("spec.training.numTrainEpochs=-1", "spec.training.numTrainEpochs", "-1 is out of range."),
    Bad("spec.dataset.evalFraction=1", "spec.dataset.evalFraction", "at least 0, less than 1."),
    Bad("spec.dataset.maxLength=4", "spec.dataset.maxLength", "4 is out of range. Write a number of at least 8"),
    Bad("spec.distributed.nodes=0", "spec.distributed.nodes", "at least 1, at most 1024."),
    Bad("spec.distributed.processesPerNode=65", "spec.distributed.processesPerNode", "at most 64."),
    Bad("spec.distributed.masterPort=80", "spec.distributed.masterPort", "at least 1024"),
    Bad("spec.training.lora.rank=0", "spec.training.lora.rank", "out of range"),
    Bad("spec.training.seed=-1", "spec.training.seed", "out of range"),
    Bad("spec.runPolicy.maxRestarts=-1", "spec.runPolicy.maxRestarts", "out of range"),
    Bad("spec.dataset.sources[0].weight=0", "spec.dataset.sources[0].weight", "more than 0"),
    Bad("spec.dataset.sources=[]", "spec.dataset.sources", "has 0 entries. It needs at least 1 entry"),
    Bad("spec.training.lora.targetModules=[]", "spec.training.lora.targetModules", "has 0 entries."),
    Bad(f"spec.dataset.sources[0].split={'x' * 254}", "spec.dataset.sources[0].split", "at most 253 characters"),
    # --- allowed values
    Bad("spec.training.stage=dpo", "spec.training.stage", "'dpo' is not a value that it can have. One of: sft, pt."),
    Bad("spec.training.method=Lora", "spec.training.method", "Did you mean lora?"),
    Bad("spec.dataset.sources[0].format=alpca", "spec.dataset.sources[0].format", "Did you mean alpaca?"),
    Bad("spec.training.precision=float16", "spec.training.precision", "One of: bf16, fp16, fp32."),
    Bad("spec.training.optim=adamw_troch", "spec.training.optim", "Did you mean adamw_torch?"),
    Bad("spec.distributed.strategy=zero3", "spec.distributed.strategy", "One of: ddp, deepspeed, fsdp."),
    Bad("spec.distributed={strategy: deepspeed}", "spec.distributed.strategy", "Set distributed.deepspeed.preset"),
    Bad("spec.distributed={strategy: fsdp}", "spec.distributed.strategy", "Set distributed.fsdp.preset"),
    Bad(
        "spec.distributed={strategy: deepspeed, deepspeed: {}}",
        "spec.distributed.deepspeed.preset",
        "needs one of preset, config, configMapRef.",
    ),
    Bad(
        "spec.distributed={strategy: fsdp, fsdp: {preset: fsdp2, configMapRef: {name: a, key: b}}}",
        "spec.distributed.fsdp.preset",
        "needs one of preset, config, configMapRef.",
    ),
    Bad("spec.distributed={deepspeed: {preset: zero2}}", "spec.distributed.deepspeed", "Set distributed.strategy: deepspeed"),
    Bad("spec.distributed={fsdp: {preset: fsdp2}}", "spec.distributed.fsdp", "Set distributed.strategy: fsdp"),
    Bad(
        "spec.distributed={strategy: fsdp, fsdp: {preset: fsdp2}, deepspeed: {preset: zero2}}",
        "spec.distributed.deepspeed",
        "remove deepspeed",
    ),
    Bad(
        "spec.distributed={strategy: deepspeed, deepspeed: {preset: fsdp2}}",
        "spec.distributed.deepspeed.preset",
        "One of: zero0, zero1",
    ),
    Bad(
        "spec.training.precision=fp16 & spec.distributed={strategy: deepspeed, deepspeed: {preset: zero0}}",
        "spec.training.precision",
        "Use zero1",
    ),
    Bad(
        "spec.training.optim=adafactor & spec.distributed={strategy: fsdp, fsdp: {preset: fsdp2}}",
        "spec.training.optim",
        "Use adamw_torch",
    ),
    Bad("spec.distributed.launcher=pdsh", "spec.distributed.launcher", "One of: torchrun, accelerate, deepspeed."),
    Bad("spec.distributed.backend=off", "spec.distributed.backend", "YAML reads yes, no, on and off as true and false"),
    Bad("spec.training.reportTo=[wandb]", "spec.training.reportTo[0]", "The only value is tensorboard."),
    # --- URIs and names
    Bad("spec.model.source=Qwen/Qwen3-8B", "spec.model.source", "Write hf://Qwen/Qwen3-8B for the hub, or file://Qwen/Qwen3-8B"),
    Bad("spec.model.source=/models/llama", "spec.model.source", "Write file:///models/llama."),
    Bad(
        "spec.model.source=s3://bucket/model",
        "spec.model.source",
        "Write hf://OWNER/REPO[@REVISION], pvc://CLAIM/PATH or file:///PATH.",
    ),
    Bad("spec.model.source=configmap://a/b", "spec.model.source", "is not a model's source."),
    Bad("spec.model.source=hf://Qwen3-8B", "spec.model.source", "hf://OWNER/REPO"),
    Bad("spec.dataset.sources[0].uri=pcv://data/a.jsonl", "spec.dataset.sources[0].uri", "Did you mean pvc://?"),
    Bad("spec.dataset.sources[0].uri=configmap://rows", "spec.dataset.sources[0].uri", "configmap://NAME/KEY"),
    Bad("spec.dataset.sources[0].uri=./rows.jsonl", "spec.dataset.sources[0].uri", "Write file://./rows.jsonl."),
    Bad("spec.model.ggufFile=../small.gguf", "spec.model.ggufFile", "the folder belongs in spec.model.source."),
    Bad("spec.model.ggufFile=small.bin", "spec.model.ggufFile", "ending in .gguf"),
    Bad(
        "spec.output.volume.persistentVolumeClaim.claimName=My Runs",
        "spec.output.volume.persistentVolumeClaim.claimName",
        "'My Runs' is not the name of a Kubernetes object. Write small letters",
    ),
    Bad("spec.trainer.env[0].name=A-B", "spec.trainer.env[0].name", "not of the right form"),
    # --- rules
    Bad("spec.model.source=pvc://models/../other", "spec.model.source", "leaves the volume by '..'."),
    Bad("spec.dataset.sources[1].uri=pvc://data/a/..", "spec.dataset.sources[1].uri", "leaves the volume by '..'."),
    Bad("spec.training={method: full} & spec.model.dtype=float16", "spec.model.dtype", "set training.precision: fp16"),
    Bad(
        "spec.training={method: full, precision: fp16} & spec.model.dtype=bfloat16",
        "spec.model.dtype",
        "Set training.precision: bf16",
    ),
    Bad(
        "spec.dataset.evalFraction=0.1 & spec.dataset.evalSources=[{uri: hf://a/b, format: openai}]",
        "spec.dataset.evalFraction",
        "evalFraction and evalSources exclude each other. Keep one of them.",
    ),
    Bad("spec.dataset.sources[1].split=test", "spec.dataset.sources[1].split", "only data from the hub (hf://) has a split."),
    Bad("spec.dataset.sources[1].subset=en", "spec.dataset.sources[1].subset", "only data from the hub (hf://) has a subset."),
    Bad("spec.dataset.sources[1].uri=file:///a.txt", "spec.dataset.sources[1].format", "Write format: text"),
    Bad(
        "spec.dataset.sources[0].columns={messages: x}",
        "spec.dataset.sources[0].columns",
        "format alpaca does not use. Format alpaca reads instruction",
    ),
    Bad(
        "spec.dataset.sources[1].columns={system: x}",
        "spec.dataset.sources[1].columns",
        "Format openai reads messages, role, content.",
    ),
    Bad(
        "spec.dataset.sources=[{uri: hf://a/b, format: sharegpt, columns: {output: x}}]",
        "spec.dataset.sources[0].columns",
        "Format sharegpt reads",
    ),
    Bad(
        "spec.training.stage=pt & spec.dataset.sources=[{uri: hf://a/b, format: text, columns: {role: x}}]",
        "spec.dataset.sources[0].columns",
        "Format text reads text.",
    ),
    Bad(
        "spec.dataset.evalSources=[{uri: hf://a/b, format: openai, weight: 2}]",
        "spec.dataset.evalSources[0].weight",
        "evaluation samples are used once each.",
    ),
    Bad(
        "spec.dataset.sources=[{uri: hf://a/b, format: openai}, {uri: hf://a/b, format: openai}]",
        "spec.dataset.sources",
        "Give it once, with weight: 2.",
    ),
    Bad("spec.training.stage=pt", "spec.training.stage", "stage pt trains on plain text"),
    Bad("spec.dataset.sources[0].format=text", "spec.training.stage", "stage sft trains on chats"),
    *(
        Bad(
            f"spec.training.stage=pt & spec.dataset.sources=[{{uri: hf://a/b, format: text}}] & spec.dataset.{field}",
            f"spec.dataset.{field.partition('=')[0]}",
            "has no meaning for stage pt",
        )
        for field in ("lossOn=all", "trainEndOfTurn=false", "chatTemplate=chatml")
    ),
    Bad(
        "spec.dataset.lossOn=all & spec.dataset.trainEndOfTurn=false", "spec.dataset.trainEndOfTurn", "or write lossOn: assistant."
    ),
    Bad("spec.training.method=full", "spec.training.lora", "method full has no adapter."),
    Bad(
        "spec.training.method=qlora & spec.distributed={strategy: fsdp, fsdp: {preset: fsdp1}}",
        "spec.training.method",
        "Use fsdp.preset: fsdp2, or method: lora.",
    ),
    Bad(
        "spec.training.method=qlora & spec.distributed={strategy: fsdp, fsdp: {preset: fsdp2-offload}}",
        "spec.training.method",
        "4-bit weights are not moved out of a GPU.",
    ),
    Bad("spec.training={method: full} & spec.output.mergeAdapter=true", "spec.output.mergeAdapter", "Remove mergeAdapter"),
    Bad(
        "spec.training.lora.targetModules=[all-linear, q_proj]", "spec.training.lora.targetModules", "all-linear already stands for"
    ),
    Bad("spec.training.lora.targetModules=[q_proj, q_proj]", "spec.training.lora.targetModules", "a module is named twice."),
    Bad("spec.training.maxSteps=0", "spec.training.maxSteps", "0 steps train nothing."),
    Bad(
        "spec.training.lrSchedulerType=constant & spec.training.warmupRatio=0.1",
        "spec.training.warmupRatio",
        "constant_with_warmup",
    ),
    Bad("spec.training.evalSteps=10", "spec.training.evalSteps", "there is nothing to evaluate on."),
    Bad("spec.distributed.masterPort=8080", "spec.distributed.masterPort", "Choose another port"),
    Bad(
        "spec.distributed={launcher: accelerate, rendezvousTimeoutSeconds: 59}",
        "spec.distributed.rendezvousTimeoutSeconds",
        "Write 60 or more",
    ),
    Bad(
        "spec.distributed.launcher=deepspeed & spec.trainer.command=[torchrun, /a.py]",
        "spec.distributed.launcher",
        "trainer.command starts its own. Remove launcher.",
    ),
    Bad(
        "spec.runPolicy={activeDeadlineSeconds: 60, gracefulStopSeconds: 60}",
        "spec.runPolicy.activeDeadlineSeconds",
        "Make activeDeadlineSeconds longer",
    ),
    Bad("spec.trainer.env[0].name=RANK", "spec.trainer.env[0].name", "belongs to the launcher"),
    Bad("spec.trainer.env[0].name=PET_NNODES", "spec.trainer.env[0].name", "belongs to the launcher"),
    Bad("spec.trainer.env[0].name=FINETUNE_ATTEMPT", "spec.trainer.env[0].name", "belongs to the launcher"),
    Bad("spec.trainer.env[0].name=HF_TOKEN", "spec.trainer.env[0].name", "a secret does not belong in a job"),
    Bad("spec.trainer.env=[{name: A}, {name: A}]", "spec.trainer.env", "a variable is set twice."),
    # --- what a cluster does with the job
    Bad("spec.gpus=8", "spec.gpus", "That is spec.resources.limits here."),
    Bad("spec.image=a/b", "spec.image", "It belongs under spec.trainer."),
    Bad("spec.nodeSelector={}", "spec.nodeSelector", "It belongs under spec.podTemplate.spec."),
    Bad("spec.podTemplate.spec.hostNetwork=true", "spec.podTemplate.spec.hostNetwork", "Known here: nodeSelector, tolerations"),
    Bad("spec.podTemplate.spec.serviceAccountName=a", "spec.podTemplate.spec.serviceAccountName", "is not a field of the API."),
    Bad(
        "spec.podTemplate.spec.volumes=[{name: a, hostPath: {path: /}}]",
        "spec.podTemplate.spec.volumes[0].hostPath",
        "Known here: name, persistentVolumeClaim, configMap, secret, emptyDir.",
    ),
    Bad(
        "spec.podTemplate.spec.containers=[{name: sidecar}]",
        "spec.podTemplate.spec.containers[0].name",
        "The only value is trainer.",
    ),
    Bad("spec.podTemplate.spec.securityContext={runAsUser: 0}", "spec.podTemplate.spec.securityContext.runAsUser", "out of range"),
    Bad(
        "spec.podTemplate.spec.securityContext={supplementalGroups: [0]}",
        "spec.podTemplate.spec.securityContext.supplementalGroups[0]",
        "out of range",
    ),
    Bad(
        "spec.podTemplate.spec.tolerations=[{operator: exists}]",
        "spec.podTemplate.spec.tolerations[0].operator",
        "Did you mean Exists?",
    ),
    Bad("spec.podTemplate.spec.affinity=[a]", "spec.podTemplate.spec.affinity", "must be a mapping, not a list."),
    Bad(
        "spec.podTemplate.metadata.labels={a/b/c: d}",
        "spec.podTemplate.metadata.labels.a/b/c",
        "'a/b/c' is not a name that Kubernetes takes here. Write NAME or PREFIX/NAME",
    ),
    Bad(
        f"spec.podTemplate.metadata.labels={{{'x' * 400}: d}}",
        f"spec.podTemplate.metadata.labels.{'x' * 400}",
        "is a name of 400 characters. It needs at most 317.",
    ),
    Bad("spec.podTemplate.metadata.labels={a: b c}", "spec.podTemplate.metadata.labels.a", "'b c' is not the value of a label."),
    Bad("spec.podTemplate.spec.nodeSelector={gpu: 1}", "spec.podTemplate.spec.nodeSelector.gpu", 'Write it in quotes: "1".'),
    Bad("spec.output.path=/abs", "spec.output.path", "'/abs' is not a folder at the top of the volume."),
    Bad("spec.output.path=a/b", "spec.output.path", "Write one name, without slashes"),
    Bad("spec.output.path=..", "spec.output.path", "it does not begin with a dot."),
    Bad("spec.model.tokenSecretRef={}", "spec.model.tokenSecretRef.name", "is missing."),
    Bad(
        "spec.model.tokenSecretRef={name: hf, key: a/b}", "spec.model.tokenSecretRef.key", "is not a key of a Secret or ConfigMap."
    ),
    Bad("spec.resources.limits={memory: 8GB}", "spec.resources.limits.memory", "'8GB' is not an amount. Did you mean 8Gi?"),
    Bad("spec.resources.limits={cpu: 0.5}", "spec.resources.limits.cpu", '0.5 is not an amount. Write it in quotes: "0.5".'),
    Bad("spec.resources.limits={cpu: -1}", "spec.resources.limits.cpu", "-1 is not an amount. Write a whole number or"),
    Bad("spec.resources.limits={cpu: {a: 1}}", "spec.resources.limits.cpu", "a mapping is not an amount."),
    Bad("spec.resources.limits=[cpu]", "spec.resources.limits", "must be a mapping, not a list."),
    Bad("spec.resources.sharedMemory=much", "spec.resources.sharedMemory", "'much' is not an amount. Write a whole number or"),
    Bad("spec.resources.limits={my gpu: 1}", "spec.resources.limits.my gpu", "'my gpu' is not a name that Kubernetes takes here."),
    Bad("spec.runPolicy.ttlSecondsAfterFinished=-1", "spec.runPolicy.ttlSecondsAfterFinished", "at least 0"),
    Bad("spec.trainer.command=torchrun", "spec.trainer.command", "Write [torchrun]."),
    # --- rules about that
    Bad("spec.output={path: a}", "spec.output.path", "Give volume as well"),
    Bad(
        "spec.trainer.env=[{name: A, value: b, valueFrom: {secretKeyRef: {name: c}}}]",
        "spec.trainer.env[0].value",
        "value and valueFrom exclude each other.",
    ),
    Bad(
        "spec.model.tokenSecretRef={name: hf} & spec.trainer.env=[{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: c}}}]",
        "spec.model.tokenSecretRef",
        "the hub's token is given twice",
    ),
    Bad("spec.resources.limits={gpu: 1}", "spec.resources.limits", "or a device by its full name, for example nvidia.com/gpu."),
    Bad("spec.resources.requests={gpu: 1}", "spec.resources.requests", "names a resource that Kubernetes does not know."),
    Bad(
        "spec.resources={limits: {cpu: 2}, requests: {cpu: 2001m}}",
        "spec.resources.requests",
        "asks for more of a resource than limits allow.",
    ),
    Bad(
        "spec.resources={limits: {memory: 1G}, requests: {memory: 1Gi}}",
        "spec.resources.requests",
        "asks for more of a resource than limits allow.",
    ),
    Bad("spec.resources.requests={nvidia.com/gpu: 1}", "spec.resources.requests", "Write devices in limits only."),
    Bad(
        "spec.resources={limits: {nvidia.com/gpu: 4}, requests: {nvidia.com/gpu: 2}}",
        "spec.resources.requests",
        "Write devices in limits only.",
    ),
    Bad("spec.resources.limits={nvidia.com/gpu: 4k}", "spec.resources.limits", "a device cannot be divided."),
    Bad(
        "spec.podTemplate.metadata.labels={finetune.dev/job: a}",
        "spec.podTemplate.metadata.labels",
        "belong to the operator. Use a prefix of your own.",
    ),
    Bad("spec.podTemplate.metadata.annotations={batch.kubernetes.io/a: b}", "spec.podTemplate.metadata.annotations", "belong to"),
    Bad(
        "spec.podTemplate.metadata.annotations={container.apparmor.security.beta.kubernetes.io/trainer: unconfined}",
        "spec.podTemplate.metadata.annotations",
        "an annotation chooses an AppArmor or seccomp profile.",
    ),
    Bad(
        "spec.podTemplate.spec.priorityClassName=system-node-critical",
        "spec.podTemplate.spec.priorityClassName",
        "are for the cluster's own pods.",
    ),
    *(
        Bad(
            f"spec.podTemplate.spec.tolerations=[{toleration}]",
            f"spec.podTemplate.spec.tolerations[0].{field}",
            says,
        )
        for toleration, field, says in (
            ("{key: a, operator: Exists, value: b}", "value", "operator Exists takes every value."),
            ("{value: b}", "key", "operator Equal compares the value of a key, and there is none."),
            ("{key: a, tolerationSeconds: 5}", "tolerationSeconds", "Write effect: NoExecute"),
            ("{key: a, effect: NoSchedule, tolerationSeconds: 5}", "tolerationSeconds", "Write effect: NoExecute"),
        )
    ),
    *(
        Bad(f"spec.podTemplate.spec.volumes=[{volumes}]", f"spec.podTemplate.spec.volumes{field}", says)
        for volumes, field, says in (
            ("{name: a}", "[0].name", "Give one of persistentVolumeClaim, configMap, secret, emptyDir."),
            ("{name: a, emptyDir: {}, configMap: {name: b}}", "[0].name", "a volume is exactly one kind."),
            ("{name: a, emptyDir: {}}, {name: a, emptyDir: {}}", "", "a volume is given twice."),
            ("{name: finetune-tmp, emptyDir: {}}", "[0].name", "names that begin with finetune- belong to the operator."),
        )
    ),
    *(
        Bad(
            "spec.podTemplate.spec.volumes=[{name: a, emptyDir: {}}] & "
            f"spec.podTemplate.spec.containers=[{{volumeMounts: [{mounts}]}}]",
            f"spec.podTemplate.spec.containers{field}",
            says,
        )
        for mounts, field, says in (
            ("{name: b, mountPath: /b}", "", "names a volume that is not in podTemplate.spec.volumes."),
            ("{name: a, mountPath: /output}", "[0].volumeMounts[0].mountPath", "the operator mounts /output, "),
            ("{name: a, mountPath: /etc/finetune/x}", "[0].volumeMounts[0].mountPath", "Choose another path"),
            ("{name: a, mountPath: /a/../output}", "[0].volumeMounts[0].mountPath", "a path has no . or .. in it."),
            ("{name: a, mountPath: /a}, {name: a, mountPath: /a}", "[0].volumeMounts", "Give each a path of its own."),
            ("{name: a, mountPath: a}", "[0].volumeMounts[0].mountPath", "'a' is not an absolute path."),
            ("{name: a, mountPath: /a/}", "[0].volumeMounts[0].mountPath", "without a slash at the end."),
            ("{name: a, mountPath: /a, subPath: ../b}", "[0].volumeMounts[0].subPath", "is not a folder inside the volume."),
        )
    ),
    Bad(
        "spec.podTemplate.spec.volumes=[{name: a, persistentVolumeClaim: {claimName: runs}}] & "
        "spec.podTemplate.spec.containers=[{volumeMounts: [{name: a, mountPath: /a}]}]",
        "spec.podTemplate.spec.containers",
        "Add readOnly: true to the volumeMount.",
    ),
]

#: What only a cluster refuses.
BAD_ON_A_CLUSTER = [
    Bad("spec.output.volume=", "spec.output.volume", "Write output: {volume: {persistentVolumeClaim: {claimName: CLAIM}}}."),
    Bad("spec.model.source=file://models/a", "spec.model.source", "which the cluster does not have."),
    Bad("spec.dataset.sources[1].uri=file://a.jsonl", "spec.dataset.sources[1].uri", "which the cluster does not have."),
    Bad(
        "spec.dataset.evalSources=[{uri: file://a.jsonl, format: openai}]",
        "spec.dataset.evalSources[0].uri",
        "which the cluster does not have.",
    ),
    Bad(
        "spec.resources.limits={nvidia.com/gpu: 2}",
        "spec.distributed.processesPerNode",
        "there are more processes than GPUs in resources.limits",
    ),
]

#: What only the operator and `finetune validate` see, since the API server knows nothing about what is in extraArgs and affinity.
LEFT_TO_THE_OPERATOR = [
    Bad(
        "spec.training.extraArgs={learning_rate: 1e-4}",
        "spec.training.extraArgs.learning_rate",
        "Set spec.training.learningRate instead.",
    ),
    Bad(
        "spec.training.extraArgs={learningRate: 1e-4}",
        "spec.training.extraArgs.learningRate",
        "Set spec.training.learningRate instead.",
    ),
    Bad("spec.training.extraArgs={bf16: true}", "spec.training.extraArgs.bf16", "Set spec.training.precision instead."),
    Bad(
        "spec.training.extraArgs={warmup_steps: 5}",
        "spec.training.extraArgs.warmup_steps",
        "Set spec.training.warmupRatio instead.",
    ),
    Bad("spec.training.extraArgs={ddp_timeout: 5}", "spec.training.extraArgs.ddp_timeout", "rendezvousTimeoutSeconds"),
    Bad("spec.training.extraArgs={output_dir: x}", "spec.training.extraArgs.output_dir", "checkpoints are written"),
    Bad("spec.training.extraArgs={hub_token: x}", "spec.training.extraArgs.hub_token", "results go to the output folder only."),
    Bad(
        "spec.training.extraArgs={dataloader_drop_last: true}",
        "spec.training.extraArgs.dataloader_drop_last",
        "rows come in a fixed order",
    ),
    Bad("spec.training.extraArgs={local_rank: 0}", "spec.training.extraArgs.local_rank", "the launcher decides it"),
    Bad(
        "spec.training.extraArgs={remove_unused_columns: true}",
        "spec.training.extraArgs.remove_unused_columns",
        "rows are prepared",
    ),
    Bad(
        "spec.podTemplate.spec.affinity={podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [a]}]}}",
        "spec.podTemplate.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaces",
        "looks at pods of other namespaces.",
    ),
    Bad(
        "spec.podTemplate.spec.affinity={podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
        "[{weight: 1, podAffinityTerm: {namespaceSelector: {}}}]}}",
        "spec.podTemplate.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm"
        ".namespaceSelector",
        "Remove it: without it a term is about",
    ),
]
