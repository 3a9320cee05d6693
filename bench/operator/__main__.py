"""`python -m bench.operator`: FineTuneJobs under the operator against bare Indexed Jobs, on a control plane without nodes."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from bench.operator import scenarios, shapes
from bench.operator.report import Row, Writes, table, writes_table
from bench.operator.stage import Stage
from cluster.audit import Write
from cluster.binaries import CONTROL_PLANE, binaries
from cluster.control_plane import ControlPlane
from cluster.lacks import Lacking
from cluster.operator_process import operator_process

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
#: Jobs that run at the same time where it is not their number that matters.
FEW = 10
SCENARIOS = ("alone", "many", "life", "running", "restart")


def main() -> None:
    """Start everything, perform the rounds, print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.operator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (5 times as many where that takes no time)")
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 500], help="how many are submitted together")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long jobs run whose writes are counted")
    parser.add_argument("--only", choices=SCENARIOS, nargs="+", default=SCENARIOS)
    parser.add_argument("--logs", type=Path, default=ROOT / "runs/bench-operator", help="for the operator's log")
    args = parser.parse_args()

    try:
        programs = binaries(names=CONTROL_PLANE)
        args.logs.mkdir(parents=True, exist_ok=True)
        log = args.logs / f"operator-{time.strftime('%Y%m%d-%H%M%S')}.log"
        with TemporaryDirectory() as folder, ControlPlane(programs, Path(folder), crds=ROOT / "crds") as plane:
            operator = operator_process(plane.kubeconfig_for("operator"), log)
            operator.start()
            try:
                results = measure(Stage(plane, operator), args)
            finally:
                operator.stop()
    except Lacking as lacking:
        raise SystemExit(str(lacking)) from None
    print(f"\n{shapes.NODES} pods a job, medians of at least {args.rounds} rounds; the operator's log is {log}")
    print(table(results.rows))
    if results.writes:
        print(f"\n{writes_table(results.writes)}")


@dataclass
class Results:
    """What is printed."""

    rows: list[Row] = field(default_factory=list)
    writes: list[Writes] = field(default_factory=list)


def measure(stage: Stage, args: argparse.Namespace) -> Results:
    """Everything, in the order of the table."""
    bare, ours = warm_up(stage), shapes.ours()
    results = Results()
    if "alone" in args.only:
        results.rows.append(alone(stage, bare, ours, args.rounds * 5))
    for count in args.jobs if "many" in args.only else []:
        many(stage, bare, ours, args.rounds, count, results)
    if "life" in args.only:
        life(stage, bare, ours, args.rounds, results)
    if "running" in args.only:
        writes = in_namespace(stage, lambda where: scenarios.running(stage, ours, where, FEW, args.minutes * 60))
        per_minute = len(writes) / FEW / args.minutes
        results.rows.append(Row("writes per running job", "1/minute", (), (per_minute,), most=2.0, digits=2))
    if "restart" in args.only:
        seconds = in_namespace(stage, lambda where: [scenarios.gang_restart(stage, ours, where) for _ in range(args.rounds * 2)])
        results.rows.append(Row("gang restart, failed pod to new pods", "s", (), tuple(seconds), most=0.5, digits=2))
    return results


def warm_up(stage: Stage) -> shapes.Side:
    """Let the operator make one job; what it made is the pattern of the bare ones."""

    def perform(namespace: str) -> shapes.Side:
        scenarios.batch(stage, shapes.ours(), namespace, 1)
        (made,) = stage.api.list("Job", namespace)
        return shapes.bare(made)

    return in_namespace(stage, perform)


def alone(stage: Stage, bare: shapes.Side, ours: shapes.Side, rounds: int) -> Row:
    """Latency of single jobs, in turns, in two namespaces that stay."""
    first, second = stage.namespace("alone-bare"), stage.namespace("alone-ours")
    pairs = [(scenarios.alone(stage, bare, first), scenarios.alone(stage, ours, second)) for _ in range(rounds)]
    stage.remove(first)
    stage.remove(second)
    a, b = zip(*pairs, strict=True)
    row = Row("one job, CREATE to the last pod", "ms", a, b, most=2.5, of_ratio=True, digits=0)
    print(f"one job: {row.ratio:.2f} times as long", flush=True)
    return row


def many(stage: Stage, bare: shapes.Side, ours: shapes.Side, rounds: int, count: int, results: Results) -> None:
    """Jobs submitted together."""
    first: list[scenarios.Batch] = []
    second: list[scenarios.Batch] = []
    for number in range(rounds):
        first.append(in_namespace(stage, lambda where: scenarios.batch(stage, bare, where, count)))
        second.append(in_namespace(stage, lambda where: scenarios.batch(stage, ours, where, count)))
        print(f"{count} jobs, round {number + 1}: {first[-1].seconds:.2f} and {second[-1].seconds:.2f} s", flush=True)

    def values(read: Callable[[scenarios.Batch], float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return tuple(read(each) for each in first), tuple(read(each) for each in second)

    seconds, writes = values(lambda batch: batch.seconds), values(lambda batch: len(batch.writes) / count)
    _, cpu = values(lambda batch: batch.operator_cpu * 100 / count)
    _, rss = values(lambda batch: batch.operator_rss)
    at = f"{count} jobs"
    results.rows += [
        Row(f"{at}, first CREATE to the last pod", "s", *seconds, most=3.0 if count > 100 else 2.5, of_ratio=True, digits=2),
        Row(f"{at}, CREATE to pods", "writes per job", *writes, most=10.0),
        Row(f"{at}, operator's CPU", "s per 100 jobs", (), cpu, most=1.0, digits=2),
        Row(f"{at}, operator's RSS", "MiB", (), rss, most=150.0, digits=0),
    ]
    results.writes.append(Writes(f"{at}, CREATE to pods", count, by_client(first[-1].writes), by_client(second[-1].writes)))


def life(stage: Stage, bare: shapes.Side, ours: shapes.Side, rounds: int, results: Results) -> None:
    """A few jobs from CREATE to success."""
    first: list[list[Write]] = []
    second: list[list[Write]] = []
    for _ in range(rounds):
        first.append(in_namespace(stage, lambda where: scenarios.whole_life(stage, bare, where, FEW)))
        second.append(in_namespace(stage, lambda where: scenarios.whole_life(stage, ours, where, FEW)))
    label = "CREATE to success"
    counts = tuple(len(writes) / FEW for writes in first), tuple(len(writes) / FEW for writes in second)
    results.rows.append(Row(label, "writes per job", *counts, most=None))
    results.writes.append(Writes(label, FEW, by_client(first[-1]), by_client(second[-1])))


def by_client(writes: Iterable[Write]) -> Counter[tuple[str, str]]:
    """How many of each kind; refused ones are marked with their status."""
    return Counter((w.user, f"{w.verb} {w.resource}" + (f" {w.status}" if w.status >= 400 else "")) for w in writes)


def in_namespace(stage: Stage, perform: Callable[[str], T]) -> T:
    """Perform in a fresh namespace, and remove it with all that is in it."""
    namespace = stage.namespace("bench")
    value = perform(namespace)
    stage.remove(namespace)
    return value


if __name__ == "__main__":
    main()
