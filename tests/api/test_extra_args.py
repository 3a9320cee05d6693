"""spec.training.extraArgs."""

from __future__ import annotations

from finetune_api.extra_args import _FIELDS, _OWNED, extra_args_problems, training_argument_names, unknown_extra_args

KNOWN = {"neftune_noise_alpha", "torch_compile", "adam_beta2", "optim_args", "learning_rate", "output_dir"}


def test_names_of_the_installed_transformers():
    """Reading the source finds what the class has."""
    import dataclasses

    from transformers import TrainingArguments

    assert training_argument_names() == {field.name for field in dataclasses.fields(TrainingArguments)}


def test_unknown_names():
    names = ["neftune_noise_alfa", "torchCompile", "zebra", "adam_beta2", "learning_rate", "learningRate", "output_dir"]
    assert [str(problem).partition("extraArgs.")[2] for problem in unknown_extra_args(names, KNOWN)] == [
        "neftune_noise_alfa: is no field of transformers.TrainingArguments. Did you mean neftune_noise_alpha?",
        "torchCompile: is no field of transformers.TrainingArguments. Did you mean torch_compile?",
        "zebra: is no field of transformers.TrainingArguments. "
        "Its names are listed in the documentation of transformers.TrainingArguments.",
    ]


def test_no_name_is_reported_twice():
    """A name that has a field or is owned is not unknown as well."""
    assert unknown_extra_args([*_FIELDS, *_OWNED], set()) == []
    assert len(extra_args_problems([*_FIELDS, *_OWNED])) == len(_FIELDS) + len(_OWNED)
    assert _FIELDS.keys() & _OWNED.keys() == set()


def test_what_the_trainer_passes_itself_cannot_be_passed_by_a_job():
    """Otherwise an extra argument would silently win over a field of the job."""
    from pathlib import Path

    from finetune_api.spec import Training
    from finetune_trainer.rank.arguments import training_arguments

    passed = training_arguments(Training(), Path("out"), {}, cuda=False)
    assert passed.keys() - _FIELDS.keys() - _OWNED.keys() == set()
