"""The result: weights, tokenizer, merged model, card and plot move into the output folder; last the marker that the job is done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from finetune_api import contract
from finetune_api.spec import FineTuneJob
from finetune_trainer.checkpoint import folder
from finetune_trainer.checkpoint.pieces import SavedPieces
from finetune_trainer.data.choice import apply_template_choice
from finetune_trainer.model.merge import merge_adapter
from finetune_trainer.model.save import save_pretrained
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import Prepared
from finetune_trainer.rank.trainer import JobTrainer
from finetune_trainer.results.summary import write_results


def finish(job: FineTuneJob, prepared: Prepared, output: Path, trainer: JobTrainer) -> None:
    """Write the result; only the rank that saves does anything. Interrupted, it is simply done again by the next attempt.

    The weights are those of the last checkpoint: put together from its files, so that no rank has to gather what all ranks hold.
    They are written aside first, so that a full disk leaves no half model in the output folder.
    """
    if not trainer.args.should_save:
        return
    trainer.parts.strategy.before_result()
    trainer.parts.checkpoints.check_fence()
    state = output / contract.STATE_DIR
    aside = state / "result"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tokenizer = load_tokenizer(prepared.model, job.model.trust_remote_code)
    apply_template_choice(tokenizer, job.dataset.chat_template)
    trained = SavedPieces(folder.final_path(output / contract.CHECKPOINTS_DIR, trainer.parts.log.total_steps))
    model = trainer.accelerator.unwrap_model(trainer.model)
    save_pretrained(model, tokenizer, aside, {name: trained.whole(name) for name in trained})
    for path in sorted(aside.iterdir()):
        path.replace(output / path.name)
    aside.rmdir()
    if job.spec.output.merge_adapter:
        trainer.parts.heartbeat.beat("finishing", message="merging the adapter into the model")
        merged = state / "merged"
        shutil.rmtree(merged, ignore_errors=True)
        merge_adapter(output, prepared.model, merged, trust_remote_code=job.model.trust_remote_code)
        shutil.rmtree(output / contract.MERGED_DIR, ignore_errors=True)
        merged.rename(output / contract.MERGED_DIR)
    trainer.parts.heartbeat.beat("finishing", message="")
    write_results(job, output, prepared)
    (state / contract.DONE_MARKER).write_text(json.dumps({"step": trainer.parts.log.total_steps}))
