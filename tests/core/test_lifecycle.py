"""Anything may happen at any moment, and the rules of core/plan.py hold all the same."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.builders import raw_job
from core.operator_loop import KINDS, Mishap, OperatorLoop
from core.simulator import Cluster, Kind, Process, attempts
from finetune_api.contract import ExitCode
from finetune_operator.core.conditions import status_patch
from finetune_operator.core.model import Manifest

LONGEST_NAME = "a" * 52
MAX_RESTARTS = 2
FINAL = ("Succeeded", "Failed")
FREE = (ExitCode.OK, ExitCode.PREEMPTED, ExitCode.USER_ERROR, ExitCode.FENCED)

codes = st.sampled_from([0, 0, 0, 1, 64, 75, 76, 77, 77, 78, 137, 143])
which = st.integers(0, 7)
booleans = st.booleans()
late = st.sampled_from([None, None, *KINDS])
mishaps: st.SearchStrategy[Mishap] = st.sampled_from(
    ["nothing", "nothing", "nothing", "dies before acting", "dies while acting", "dies before writing", "write refused"]
)
words = st.sampled_from([None, "PeerLost", "OutOfMemory", "Stopped"])


class AnyLife(RuleBasedStateMachine):
    """A job of two nodes."""

    @initialize(
        deadline=st.sampled_from([None, None, 60, 600]),
        ttl=st.sampled_from([None, 50]),
        suspend=booleans,
        first=mishaps,
        head_start=st.integers(0, 5),
        late=late,
    )
    def begin(
        self, deadline: int | None, ttl: int | None, suspend: bool, first: Mishap, head_start: int, late: Kind | None
    ) -> None:
        policy = {"maxRestarts": MAX_RESTARTS, "gracefulStopSeconds": 10, "suspend": suspend}
        policy |= {} if deadline is None else {"activeDeadlineSeconds": deadline}
        policy |= {} if ttl is None else {"ttlSecondsAfterFinished": ttl}
        self.cluster = Cluster(raw_job(name=LONGEST_NAME, **policy))
        self.operator = OperatorLoop(self.cluster)
        self.ended_as: str | None = None
        self.restarts_seen = 0
        self.charged: set[str] = set()
        self.queued: set[str] = set()
        self.operator_reconciles(first)
        self.all_goes_well(head_start, late)

    # --- the operator

    @rule(kind=st.sampled_from(KINDS), count=st.integers(1, 4))
    def watch_delivers(self, kind: Kind, count: int) -> None:
        self.operator.deliver(kind, count)

    @rule(mishap=mishaps)
    def operator_reconciles(self, mishap: Mishap) -> None:
        before = len(self.operator.created)
        alive = {pod["metadata"]["labels"]["finetune.dev/attempt"] for pod in self.cluster.all("Pod") if self._may_run(pod)}
        self.operator.reconcile(mishap)
        if len(self.operator.created) > before:
            assert not alive, f"pods of attempts {alive} may run while {self.operator.created[-1]} is created"

    @rule()
    def operator_restarts(self) -> None:
        self.operator.restart()

    @rule()
    def a_second_plan_does_nothing(self) -> None:
        self.operator.catch_up()
        before = len(self.operator.created)
        self.operator_reconciles("nothing")
        self.operator.catch_up()
        if len(self.operator.created) > before:  # Once a new attempt is there the oldest is one too many, which is one step more.
            self.operator_reconciles("nothing")
            self.operator.catch_up()
        if self.queued:  # To stop what a queue holds back takes effect at once, which is one step more.
            self.operator_reconciles("nothing")
        if (again := self.operator.plan()) is not None:
            job, planned = again
            assert planned.actions == ()
            assert status_patch(job.status, planned.status) is None
            assert planned.events == ()

    # --- Kubernetes

    @rule(index=which, stale=booleans)
    def job_controller_looks(self, index: int, stale: bool) -> None:
        if name := self._pick("Job", index):
            self.cluster.sync(name, stale)

    @rule()
    def garbage_is_collected(self) -> None:
        self.cluster.collect_garbage()

    @rule(index=which)
    def process_starts(self, index: int) -> None:
        if name := self._pick("Pod", index):
            self.cluster.start(name)

    @rule(index=which, code=codes, says=words)
    def process_ends(self, index: int, code: int, says: str | None) -> None:
        if name := self._pick("Pod", index):
            process = self._process(name)
            if process.state == "running" and code not in FREE:
                self.charged.add(process.attempt)
            self.cluster.end(name, code, says)

    @rule(index=which)
    def kubelet_reports(self, index: int) -> None:
        if name := self._pick("Pod", index):
            self.cluster.report(name)

    @rule(rounds=st.integers(1, 3), late=late)
    def all_goes_well(self, rounds: int, late: Kind | None) -> None:
        """Without this, few jobs would get far. One of the watches may bring nothing meanwhile."""
        for _ in range(rounds):
            self._undisturbed(late)

    @rule()
    def all_nodes_finish(self) -> None:
        self.cluster.finish()

    @rule(seconds=st.sampled_from([1, 5, 40, 400]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.now += seconds

    # --- disturbances

    @precondition(lambda self: self.cluster.all("FineTuneJob"))
    @rule(suspend=booleans)
    def user_sets_suspend(self, suspend: bool) -> None:
        self.cluster.change_policy(suspend=suspend)

    @precondition(lambda self: self.cluster.all("FineTuneJob"))
    @rule(late=late, stale=booleans)
    def user_suspends_and_resumes_at_once(self, late: Kind | None, stale: bool) -> None:
        self.cluster.sync_all()
        for suspend in (True, False):
            if self.cluster.all("FineTuneJob"):
                self.cluster.change_policy(suspend=suspend)
            self.operator.catch_up(late)
            self.operator_reconciles("nothing")
            for _, job in list(attempts(self.cluster)):
                self.cluster.sync(job["metadata"]["name"], stale)

    @precondition(lambda self: self.cluster.all("FineTuneJob"))
    @rule(seconds=st.sampled_from([60, 600]))
    def user_changes_the_deadline(self, seconds: int) -> None:
        self.cluster.change_policy(activeDeadlineSeconds=seconds)

    @rule(index=which, orphan=booleans)
    def user_deletes_a_kubernetes_job(self, index: int, orphan: bool) -> None:
        if name := self._pick("Job", index):
            self.cluster.delete_job(name, orphan)

    @rule(index=which, disruption=st.sampled_from([None, "EvictionByEvictionAPI", "DeletionByTaintManager"]))
    def pod_is_taken_away(self, index: int, disruption: str | None) -> None:
        if name := self._pick("Pod", index):
            self.cluster.take_away(name, disruption)

    @rule(index=which, suspend=booleans)
    def queue_acts(self, index: int, suspend: bool) -> None:
        if name := self._pick("Job", index):
            self.queued.add(name)
            self.cluster.queue_sets_suspend(name, suspend)

    # --- what holds always

    @invariant()
    def one_attempt_runs(self) -> None:
        """And no node twice in it, unless a queue took the attempt back and let it go at once: there the fence helps."""
        running = [node for node in self.cluster.running() if node[0] not in self.queued]
        assert len({attempt for attempt, _ in self.cluster.running()}) <= 1
        assert len(running) == len(set(running))

    @invariant()
    def the_end_is_final(self) -> None:
        for raw in self.cluster.all("FineTuneJob"):
            phase = raw.get("status", {}).get("phase")
            assert phase or "status" not in raw, "a status always has a phase"
            assert self.ended_as in (None, phase), f"was {self.ended_as}, is {phase}"
            self.ended_as = phase if phase in FINAL else None

    @invariant()
    def restarts_are_bounded_and_deserved(self) -> None:
        for raw in self.cluster.all("FineTuneJob"):
            restarts = raw.get("status", {}).get("restarts", 0)
            assert self.restarts_seen <= restarts <= min(MAX_RESTARTS, len(self.charged))
            self.restarts_seen = restarts

    @invariant()
    def names_fit(self) -> None:
        for kind in KINDS:
            for raw in self.cluster.all(kind):
                labels: dict[str, str] = raw["metadata"].get("labels", {})
                assert all(len(text) <= 63 for text in (raw["metadata"]["name"], *labels.values()))

    def teardown(self) -> None:
        """Once nobody disturbs it any more, it comes to an end."""
        if not hasattr(self, "cluster"):
            return
        for _ in range(60):
            if self._at_rest():
                return
            self.cluster.now += 5
            self.cluster.finish()
            for _, job in list(attempts(self.cluster)):
                self.cluster.queue_sets_suspend(job["metadata"]["name"], False)
            self._undisturbed()
            self.one_attempt_runs()
            self.the_end_is_final()
        raise AssertionError(f"still {self.cluster.finetunejob}")

    def _at_rest(self) -> bool:
        jobs = self.cluster.all("FineTuneJob")
        if not jobs:
            return True
        phase = jobs[0].get("status", {}).get("phase")
        return phase in FINAL or (phase == "Suspended" and jobs[0]["spec"]["runPolicy"]["suspend"])

    def _undisturbed(self, late: Kind | None = None) -> None:
        """One round in which everybody does what they should."""
        self.cluster.go_on()
        self.operator.catch_up(late)
        self.operator_reconciles("nothing")

    def _may_run(self, pod: Manifest) -> bool:
        return self._process(pod["metadata"]["name"]).state != "ended"

    def _process(self, pod: str) -> Process:
        return self.cluster.processes[self.cluster.objects["Pod", pod]["metadata"]["uid"]]

    def _pick(self, kind: Kind, index: int) -> str | None:
        names: Sequence[str] = sorted(raw["metadata"]["name"] for raw in self.cluster.all(kind))
        return names[index % len(names)] if names else None


AnyLife.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyLife = AnyLife.TestCase
