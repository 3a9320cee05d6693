"""The life of a FineTuneJob: from what is observed to what is done next.

plan() is a pure function of one reading of the world. It remembers nothing: everything it needs is in the FineTuneJob, its attempts
(an Indexed Job each, whose annotations carry the counters of the past) and their pods. Read from top to bottom it tells the life
of a job:

    created, refused until it has what it names
    attempt 0, under way
    over, because it ... completed: Succeeded
                         failed:    Restarting, attempt 1, under way, over, ...  or  Failed, when another try is of no use
                         was stopped by spec.runPolicy.suspend: Suspended, attempt 1, under way, over, ...
                         was stopped by the deadline: Failed
    deleted, ttlSecondsAfterFinished after its end

What holds at every moment, whatever happens to pods, nodes, the operator or the Jobs themselves:

1. At most one attempt can have running pods. Two would write to the same checkpoints.
2. An attempt is created only when a fresh read has shown that the last one is over (policies/suspend.py: no process of it runs and
   none will) and that no stray pod is left. A cache may lack pods; it is never enough.
3. An attempt that was stopped is never continued; to resume is to create the next one.
4. Succeeded and Failed are final.
5. A second plan over the state that the first one produced does nothing. All actions may be repeated, and any may get lost.
"""

from __future__ import annotations

from finetune_api.names import attempt_name
from finetune_api.status import Failure, JobPhase
from finetune_operator.core.conditions import Fact
from finetune_operator.core.events import events
from finetune_operator.core.history import History, before
from finetune_operator.core.model import Attempt, Config, Create, DeleteSelf, Job, Need, Observed, Plan, Stop
from finetune_operator.core.policies import accept, deadline, phase, restart, suspend
from finetune_operator.core.policies.cleanup import cleanup, may_run, stop_obsolete
from finetune_operator.core.policies.failure import failure
from finetune_operator.core.policies.node_fit import no_node_fits
from finetune_operator.core.policies.nudge import nudge
from finetune_operator.core.policies.reporting import write_after
from finetune_operator.core.policies.ttl import seconds_to_keep
from finetune_operator.core.render.attempt import render_attempt
from finetune_operator.core.render.config_map import render_config_map
from finetune_operator.core.render.service import render_service
from finetune_operator.core.report import output, report
from finetune_operator.core.standing import Standing
from finetune_operator.core.step import Step
from finetune_operator.core.text import message

#: While a pod waits for its container, the Events about its volumes are looked at this often.
_VOLUME_CHECK_SECONDS = 5.0


def plan(job: Job, observed: Observed, now: float, config: Config) -> Plan:
    """What to do now. If it needs to know more, everything but `needs` is empty: look that up and call it again."""
    if job.deleting:  # Kubernetes deletes the children.
        return Plan(status=job.status)
    if job.status.phase in ("Succeeded", "Failed"):
        return _finished(job, observed, now)
    if job.job is None and (observed.attempts or job.status.start_time is not None):
        return _unreadable(job)
    step = _next_step(job, observed, now, config)
    if isinstance(step, str):
        return Plan(needs=frozenset({step}), status=job.status)
    status = report(job, observed, step, now)
    return Plan(
        actions=(*step.actions, *_left_undone(job, observed), *cleanup(observed.attempts)),
        status=status,
        write_after=write_after(
            job.status, status, written_at=observed.progress_written_at, interval=config.progress_seconds, now=now
        ),
        events=events(job.status, status),
        requeue_after=step.look_again,
        poll=_address_of_node_0(job, observed),
    )


def _next_step(job: Job, observed: Observed, now: float, config: Config) -> Step | Need:
    newest = observed.attempts[-1] if observed.attempts else None
    if job.status.start_time is not None and (newest is None or newest.number < job.status.attempt):
        return _lost(job, observed, newest, now, config)
    if newest is None:
        return _begin(job, observed, now, config)
    if newest.state == "complete":
        return _succeeded(job, newest, now) if observed.fresh else "fresh"
    if suspend.is_over(newest):
        return _after(job, observed, newest, now, config) if observed.fresh or _settled(job, newest) else "fresh"
    return _under_way(job, observed, newest, now)


# --- before the first attempt -----------------------------------------------------------------------------------------------------


def _begin(job: Job, observed: Observed, now: float, config: Config) -> Step | Need:
    """Nothing was created yet. Create attempt 0, unless something speaks against it."""
    if refused := accept.invalid(job):
        standing = Standing("Failed", refused.reason, refused.message)
        return Step(standing, History(), accepted=Fact("Accepted", False, *refused), finished_at=now)
    if job.spec.run_policy.suspend:
        return Step(_suspended("It has not started yet."), History())
    if pods := _running_strays(observed):
        return Step(_waiting_for("Pending", pods), History())
    if observed.references is None:
        return "references"
    if refused := accept.refusal(job, observed.references):
        standing = Standing("Pending", refused.reason, refused.message)
        return Step(standing, History(), accepted=Fact("Accepted", False, *refused), look_again=accept.RETRY_SECONDS)
    warning = no_node_fits(job.spec, observed.references.nodes)
    return _create(job, History(), "Pending", config, accepted=Fact("Accepted", True, "Accepted", warning))


# --- an attempt under way ---------------------------------------------------------------------------------------------------------


def _under_way(job: Job, observed: Observed, attempt: Attempt, now: float) -> Step:
    """The newest attempt is not over. Let it run, unless the user or the deadline wants it stopped."""
    policy = job.spec.run_policy
    failed = failure(attempt, job.status.last_failure)
    left = deadline.seconds_left(policy, deadline.ran_seconds(attempt, now))
    reason = attempt.stopped
    if reason is None and left is not None and left <= 0:
        reason = "deadline"
    if reason is None and policy.suspend:
        reason = "suspend"
    if reason is not None:
        actions = (Stop(attempt.name, attempt.uid, reason),) if may_run(attempt) else ()
        standing = Standing("Suspending", "Suspending", "All nodes save the same step, then their pods leave.")
        if reason == "deadline":
            standing = Standing("Running", "DeadlineExceeded", f"{deadline.words(policy)} All nodes save and leave.")
        return Step(phase.stopping(standing, attempt.pods), before(attempt), actions, failure=failed)
    nudged = nudge(attempt, job.spec.distributed.nodes)
    waits = any(pod.waiting_since is not None and not pod.over for pod in attempt.pods)
    return Step(
        _phase(job, observed, attempt, failed),
        before(attempt),
        () if nudged is None else (nudged,),
        failure=failed,
        look_again=_soonest(left, _VOLUME_CHECK_SECONDS if waits else None),
    )


def _phase(job: Job, observed: Observed, attempt: Attempt, failed: Failure | None) -> Standing:
    nodes = job.spec.distributed.nodes
    beginning = _beginning(observed.attempts, attempt)
    if attempt.deleting:
        text = f"Job {attempt.name} is being deleted. The next attempt follows when its pods have left."
        return Standing(beginning, "JobDeleted", text)
    if suspend.is_held(attempt):
        text = f"Job {attempt.name} is held back (its spec.suspend is true), for example by a queue such as Kueue."
        return Standing("Pending", "Queued", text)
    ran_before = job.status.phase == "Running" and job.status.attempt == attempt.number
    if ran_before or phase.all_started(attempt.pods, nodes):
        return phase.running(attempt, observed.progress, failed)
    return phase.starting(attempt.name, beginning, attempt.pods, nodes)


def _left_undone(job: Job, observed: Observed) -> tuple[Create, ...]:
    """Create the Service and the ConfigMap once more while the status does not tell of the attempt.

    All three objects go out at once and the status is written after that, so the Job may be there without what its pods need.
    The Job itself is left out: the cache may not know yet that somebody deleted it.
    """
    newest = observed.attempts[-1] if observed.attempts else None
    told = job.status.start_time is not None and newest is not None and newest.number <= job.status.attempt
    return () if newest is None or told or suspend.is_over(newest) else (Create((render_service(job), render_config_map(job))),)


# --- the end of an attempt --------------------------------------------------------------------------------------------------------


def _succeeded(job: Job, attempt: Attempt, now: float) -> Step:
    where = output(job)
    standing = Standing("Succeeded", "Completed", f"Finished. The results are in {where}." if where else "Finished.")
    return Step(standing, before(attempt), finished_at=now if attempt.ended_at is None else attempt.ended_at)


def _after(job: Job, observed: Observed, attempt: Attempt, now: float, config: Config) -> Step:
    """The newest attempt is over without having succeeded: give up, pause, wait a moment, or create the next one."""
    policy = job.spec.run_policy
    decided = restart.decision(attempt, policy, job.status.last_failure)
    history = restart.history_after(attempt, decided, now)
    failed = failure(attempt, job.status.last_failure)
    if decided.action == "fail":
        return _failed(history, decided.reason, _why_given_up(decided.reason, history.restarts, failed), now, failed)
    if attempt.stopped == "deadline" or (not policy.suspend and deadline.exceeded(policy, history.ran_seconds)):
        advice = "Its checkpoints are kept: a new job with the same output.path goes on from there."
        return _failed(history, "DeadlineExceeded", f"{deadline.words(policy)} {advice}", now, failed)
    if policy.suspend:
        return Step(_suspended("Its checkpoints are kept."), history, failure=failed)
    phase_now: JobPhase = "Pending" if decided.action == "pause" else "Restarting"
    if pods := _running_strays(observed):
        return Step(_waiting_for(phase_now, pods), history, failure=failed)
    wait = restart.not_before(attempt, decided) - now
    if wait > 0:
        why = failed.message if failed is not None else decided.reason
        text = message(f"Attempt {attempt.number} has failed, the next one follows. {why}")
        return Step(Standing("Restarting", decided.reason, text), history, failure=failed, look_again=wait)
    return _create(job, history._replace(attempt=attempt.number + 1), phase_now, config, failed=failed)


def _lost(job: Job, observed: Observed, newest: Attempt | None, now: float, config: Config) -> Step | Need:
    """The newest attempt is not there: the cache is late, or somebody deleted its Job. That counts as a disruption."""
    if not observed.fresh:
        return "fresh"
    status = job.status
    ran = 0.0 if newest is None else deadline.ran_seconds(newest, now)
    history = History(status.attempt, status.restarts, status.preemptions, ran)
    name = attempt_name(job.key.name, status.attempt)
    others = [pod for attempt in observed.attempts for pod in attempt.pods if not pod.over]
    if pods := [*_running_strays(observed), *(pod.name for pod in others)]:
        return Step(_waiting_for("Restarting", pods), history)
    if job.spec.run_policy.suspend:
        return Step(_suspended("Its checkpoints are kept."), history)
    if deadline.exceeded(job.spec.run_policy, ran):
        return _failed(history, "DeadlineExceeded", deadline.words(job.spec.run_policy), now, None)
    told = Failure(reason="JobDeleted", message=f"Job {name} was deleted while it was needed.")
    following = history._replace(attempt=status.attempt + 1, preemptions=status.preemptions + 1)
    return _create(job, following, "Restarting", config, failed=told)


def _create(
    job: Job, history: History, phase_now: JobPhase, config: Config, accepted: Fact | None = None, failed: Failure | None = None
) -> Step:
    """The next attempt; `history`: its number, and what was before it."""
    number, restarts, preemptions, ran = history
    manifests = render_attempt(job, number, restarts=restarts, preemptions=preemptions, ran_seconds=ran, config=config)
    standing = phase.starting(attempt_name(job.key.name, number), phase_now, (), job.spec.distributed.nodes)
    return Step(standing, history, (Create(manifests),), accepted, failed)


# --- the end of a job -------------------------------------------------------------------------------------------------------------


def _finished(job: Job, observed: Observed, now: float) -> Plan:
    """Final. No attempt may run any more, and the job goes when its time to live is over."""
    status = job.status.model_copy(update={"observed_generation": job.generation})
    stops = tuple(stop_obsolete(attempt) for attempt in observed.attempts if may_run(attempt))
    keep = None if job.job is None else seconds_to_keep(status, job.spec.run_policy, now)
    if keep is not None and keep <= 0:
        return Plan(actions=(DeleteSelf(job.uid),), status=status)
    return Plan(actions=stops, status=status, requeue_after=keep)


def _failed(history: History, reason: str, text: str, now: float, failed: Failure | None) -> Step:
    return Step(Standing("Failed", reason, message(text)), history, failure=failed, finished_at=now)


def _why_given_up(reason: str, restarts: int, failed: Failure | None) -> str:
    why = failed.message if failed is not None else "It is not known why."
    if reason == "MaxRestartsExceeded" and restarts:
        return f"Given up after {restarts} restart{'s' if restarts > 1 else ''} (runPolicy.maxRestarts). {why}"
    return why


# --- small things -----------------------------------------------------------------------------------------------------------------


def _unreadable(job: Job) -> Plan:
    """Started by another version of the operator, whose fields this one does not know. Let it run; somebody has to look at it."""
    text = f"This version of the operator cannot read the job's spec and leaves it alone: {' '.join(job.problems)}"
    return Plan(status=job.status.model_copy(update={"message": message(text), "observed_generation": job.generation}))


def _suspended(text: str) -> Standing:
    return Standing("Suspended", "Suspended", f"Suspended. {text} It goes on when runPolicy.suspend is false.")


def _settled(job: Job, attempt: Attempt) -> bool:
    """The attempt was declared over earlier and nothing is to be created: no need to ask the API server again and again."""
    return job.status.phase == "Suspended" and job.status.attempt == attempt.number and job.spec.run_policy.suspend


def _beginning(attempts: tuple[Attempt, ...], attempt: Attempt) -> JobPhase:
    """What the start of the attempt is called: after a suspension it is no restart."""
    resumed = any(earlier.number == attempt.number - 1 and earlier.stopped == "suspend" for earlier in attempts)
    return "Pending" if attempt.number == 0 or resumed else "Restarting"


def _soonest(*seconds: float | None) -> float | None:
    return min((some for some in seconds if some is not None), default=None)


def _running_strays(observed: Observed) -> list[str]:
    return [pod.name for pod in observed.strays if not pod.over]


def _waiting_for(phase_now: JobPhase, pods: list[str]) -> Standing:
    text = f"Waiting until pods of an earlier job or attempt of this name have left: {', '.join(pods)}."
    return Standing(phase_now, "PodsLeft", message(text))


def _address_of_node_0(job: Job, observed: Observed) -> str | None:
    """Where to ask for progress. Another trainer than ours answers nothing there."""
    if not observed.attempts or job.spec.trainer.command:
        return None
    pods = observed.attempts[-1].pods
    return next((pod.ip for pod in pods if pod.rank == 0 and pod.present and pod.phase == "Running" and pod.ip), None)
