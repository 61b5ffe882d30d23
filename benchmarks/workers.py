"""What a round over several workers costs, whether two are faster than one, and whether anything grows.

Workers are processes of this machine that hold shares of a SYNTHETIC cohort, reached as remote ones are; ``--tls``
takes whole services behind certificates. Nothing is written unless ``--out`` names a file.

    python -m benchmarks.workers cost --check 100 1000
    python -m benchmarks.workers speedup
    python -m benchmarks.workers memory --rounds 300
    python -m benchmarks.workers line
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.large_cohort import resident_megabytes
from benchmarks.simulator_machine import Watch, descendants
from benchmarks.workers_cost import Case, CostModel, Measured, TrafficModel, over_line, table
from benchmarks.workers_fleet import Data, Fleet, averaging, fleet, parameters, rounds, server_link
from benchmarks.workers_line import Line
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.atomic import replace_text
from tff_affect.errors import AffectError, InputError
from tff_affect.learning.sampling import ClientSampling
from tff_affect.learning.worker_calls import Traffic
from tff_affect.staging import staging_folder

SPEEDUP_BOUND, GROWTH_BOUND = 1.7, 0.02
_WARM_UP = 2
# As in `benchmarks.simulator`: repeats in which others used more of the machine say little.
_FOREIGN, _FEW = 0.05, 3
_EARLY, _WINDOW = 50, 10
LINES = {"loopback": None, "50 ms": Line(0.05), "100 Mbit/s": Line(0.0, 100e6 / 8), "both": Line(0.05, 100e6 / 8)}


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(runs: Sequence[Callable[[], None]], repeats: int) -> list[tuple[tuple[float, ...], float]]:
    """Seconds of several kinds of rounds, each repeat of one beside the same of the others.

    Returns:
        For each repeat its seconds, and the share of the machine that others used meanwhile.
    """
    for run in [*runs] * _WARM_UP:
        run()
    found = []
    for _ in range(repeats):
        watch = Watch()
        seconds = tuple(map(_seconds, runs))
        found.append((seconds, watch.foreign()))
    return found


def undisturbed(times: Sequence[tuple[tuple[float, ...], float]]) -> tuple[list[tuple[float, ...]], bool]:
    """The repeats in which others hardly used the machine, and True; all of them, and False, where those are few."""
    quiet = [seconds for seconds, foreign in times if foreign <= _FOREIGN]
    return (quiet, True) if len(quiet) >= _FEW else ([seconds for seconds, _ in times], False)


def measured(
    data: Data, fleets: Sequence[Fleet], units: int, epochs: int, counts: Sequence[int], repeats: int
) -> list[Measured]:
    """Rounds of one model with several numbers of clients on several fleets."""
    process = averaging(data.served(), units, epochs)
    size, frames = parameters(process), data.frames * epochs
    found = []
    for count in counts:
        sampling = ClientSampling(data.clients, count, 0, "passes")
        runs = [rounds(process, sampling, where) for where in fleets]
        for run in [*runs] * _WARM_UP:
            run()
        before = [where.pool.traffic for where in fleets]
        times = [tuple(map(_seconds, runs)) for _ in range(repeats)]
        for where, past, seconds in zip(fleets, before, zip(*times, strict=True), strict=True):
            total = where.pool.traffic - past
            traffic = Traffic(round(total.sent / repeats), round(total.received / repeats))
            found.append(Measured(Case(where.workers, count, size, frames), seconds, traffic))
    return found


def cost(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Measures, fits, and compares the fit with rounds of more clients that it has not seen."""
    _require_clients(data, max([*options.clients, *options.check]))
    with server_link() as server, ExitStack() as stack:
        fleets = [stack.enter_context(fleet(data, server, count, tls=options.tls)) for count in options.workers]
        seen = [
            found
            for units, epochs in itertools.product(options.units, options.epochs)
            for found in measured(data, fleets, units, epochs, options.clients, options.repeats)
        ]
        model, traffic = CostModel.fit(seen), TrafficModel.fit(seen)
        show_table("fitted", table(seen, model))
        print("\n".join([*model.lines(), *traffic.lines()]), flush=True)
        print(f"bytes differ from that by at most {most_apart(seen, traffic):.2%}")
        new = (
            measured(data, fleets, options.check_units, 1, options.check, options.check_repeats)
            if options.check
            else []
        )
        if new:
            show_table("not seen by the fit", table(new, model))
    residuals = [abs(row["residual"]) for row in table(seen, model)]
    print(f"relative residuals: median {statistics.median(residuals):.1%}, largest {max(residuals):.1%}")
    return {
        "rows": table(seen, model), "check": table(new, model), "seconds": model.coefficients, "sent": traffic.sent,
        "received": traffic.received, "met": True,
    }  # fmt: skip


def most_apart(found: Sequence[Measured], model: TrafficModel) -> float:
    """Largest share by which the bytes of a round, both ways together, differ from the model's."""

    def total(traffic: Traffic) -> int:
        return traffic.sent + traffic.received

    return max(abs(total(model.predicted(one.case)) / total(one.traffic) - 1) for one in found)


def speedup(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Two workers with a core each beside one worker that has one core, in turn."""
    _require_clients(data, options.clients)
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise InputError("speedup: expected two cores, found one; run it on another machine")
    with server_link() as server, fleet(data, server, 1, cores=cores[:1]) as one, fleet(
        data, server, 2, cores=cores
    ) as two:  # fmt: skip
        process = averaging(data.served(), options.units, options.epochs)
        sampling = ClientSampling(data.clients, options.clients, 0, "passes")
        runs = [rounds(process, sampling, where) for where in (one, two)]
        before = [where.processor_seconds for where in (one, two)]
        times = in_turn(runs, options.repeats)
        busiest = [busiest_since(past, where.processor_seconds) for past, where in zip(before, (one, two), strict=True)]
    kept, quiet = undisturbed(times)
    ratios = [single / double for single, double in kept]
    low, middle, high = statistics.quantiles(ratios, n=4)
    alone, shared = (statistics.median(column) for column in zip(*kept, strict=True))
    others = statistics.median(foreign for _, foreign in times)
    print(
        f"{len(kept)} of {len(times)} repeats{'' if quiet else ' (NOISY)'}, others used {others:.0%} of the machine; "
        f"{options.clients} clients a round: one worker {alone:.2f} s, two {shared:.2f} s; two are {middle:.2f} times "
        f"as fast, quartiles {low:.2f}-{high:.2f}, all {min(ratios):.2f}-{max(ratios):.2f} (bound {SPEEDUP_BOUND:g})"
    )
    rounds_ = options.repeats + _WARM_UP
    print(
        f"processor time of the busiest worker: {busiest[0] / rounds_:.2f} s a round of one, "
        f"{busiest[1] / rounds_:.2f} of two; {busiest[0] / busiest[1]:.2f} times"
    )
    return {"times": times, "ratio": middle, "busiest": busiest, "met": middle >= SPEEDUP_BOUND}


def busiest_since(before: Sequence[float], after: Sequence[float]) -> float:
    """Seconds that the busiest of some workers computed meanwhile."""
    return max(late - early for early, late in zip(before, after, strict=True))


def memory(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory of driver and workers over rounds whose clients vary."""
    _require_rounds(options.rounds)
    series: dict[str, list[float]] = {"driver": [], "driver's worker": [], "workers": []}
    with server_link() as server, fleet(data, server, 2, tls=options.tls, divided=True) as where:
        process = averaging(data.served(), options.units)
        sampling = ClientSampling(data.clients, min(options.clients, len(data.clients) - 1), 0, "poisson")
        run = rounds(process, sampling, where)
        for _ in range(options.rounds):
            run()
            ours, theirs = os.getpid(), where.pids
            own = [pid for pid in descendants(ours) if pid not in theirs]
            for name, pids in zip(series, ([ours], own, theirs), strict=True):
                series[name].append(resident_megabytes(pids))
    series["all"] = [sum(parts) for parts in zip(*series.values(), strict=True)]
    for name, values in series.items():
        early, late = early_and_late(values)
        print(
            f"{name}: {early:.0f} MB after {_EARLY} rounds, {late:.0f} MB after {len(values)} ({late / early - 1:+.1%})"
        )
    early, late = early_and_late(series["all"])
    grown = late / early - 1
    print(f"memory grew by {grown:.1%} (bound {GROWTH_BOUND:.0%})")
    return {"megabytes": series, "growth": grown, "met": grown < GROWTH_BOUND}


def early_and_late(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the rounds around the fiftieth, and of the last ones."""
    around = values[_EARLY - _WINDOW // 2 : _EARLY + _WINDOW // 2]
    return statistics.median(around), statistics.median(values[-_WINDOW:])


def line(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """The same rounds of two workers over several lines, in turn."""
    _require_clients(data, options.clients)
    with server_link() as server, ExitStack() as stack:
        fleets = [stack.enter_context(fleet(data, server, 2, tls=options.tls, line=kind)) for kind in LINES.values()]
        rows = []
        for units in options.units:
            found = measured(data, fleets, units, 1, [options.clients], options.repeats)
            seconds = dict(zip(LINES, (one.fastest for one in found), strict=True))
            turns = (seconds["50 ms"] - seconds["loopback"]) / LINES["50 ms"].round_trip  # type: ignore[union-attr]
            for (name, kind), one in zip(LINES.items(), found, strict=True):
                expected = over_line(seconds["loopback"], one.traffic, 2, kind or Line(), turns)
                rows.append(
                    {
                        "units": units, "parameters": one.case.parameters, "line": name,
                        "measured": round(one.fastest, 3), "expected": round(expected, 3), "turns": round(turns, 1),
                        "bytes_per_worker": (one.traffic.sent + one.traffic.received) // 2,
                    }
                )  # fmt: skip
    show_table("over lines", rows)
    return {"rows": rows, "met": True}


def show_table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints rows of one shape, separated by bars."""
    print(f"\n{title}\n" + " | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()), flush=True)


def _require_clients(data: Data, count: int) -> None:
    if count > len(data.clients):
        raise InputError(f"expected at least {count} subjects, found {len(data.clients)}; name a larger cohort")


def _require_rounds(rounds_: int) -> None:
    if rounds_ < 2 * _EARLY:
        raise InputError(f"--rounds: expected at least {2 * _EARLY} to see memory grow, found {rounds_}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Times rounds over several workers of this machine.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, run in (("cost", cost), ("speedup", speedup), ("memory", memory), ("line", line)):
        kind = kinds.add_parser(name, help=(run.__doc__ or "").split("\n")[0])
        kind.set_defaults(run=run)
        kind.add_argument("--cohort", type=Path, help="a SYNTHETIC cohort; made if not named")
        kind.add_argument("--out", type=Path, help="takes all figures as JSON")
        if name != "speedup":
            kind.add_argument("--tls", action="store_true", help="whole services behind certificates")
        if name != "memory":
            kind.add_argument("--repeats", type=int, default=7)
    _cost_options(kinds.choices["cost"])
    for name, clients, units in (("speedup", 8, 64), ("memory", 10, 16)):
        kinds.choices[name].add_argument("--clients", type=int, default=clients, help="clients of a round")
        kinds.choices[name].add_argument("--units", type=int, default=units)
    kinds.choices["speedup"].add_argument("--epochs", type=int, default=100, help="local passes: long work at clients")
    kinds.choices["memory"].add_argument("--rounds", type=int, default=300)
    kinds.choices["line"].add_argument("--clients", type=int, default=12)
    kinds.choices["line"].add_argument("--units", type=int, nargs="+", default=[32, 256])
    return parser


def _cost_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clients", type=int, nargs="+", default=[4, 12, 32], help="clients of a round")
    parser.add_argument("--units", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--check", type=int, nargs="*", default=[], help="clients of rounds that the fit does not see")
    parser.add_argument("--check-units", type=int, default=32)
    parser.add_argument("--check-repeats", type=int, default=3)


def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    cohort = options.cohort
    if cohort is None:
        cohort = folder / "cohort"
        write_synthetic_cohort(cohort, SyntheticConfig(subjects=40, seconds=300, frame_rate=2.5))
    start = time.perf_counter()
    data = Data(cohort, folder)
    print(f"{len(data.clients)} clients of {data.frames:.0f} frames stored in {time.perf_counter() - start:.0f} s")
    return dict(options.run(data, options))


def main() -> int:
    """Prints the figures; returns 0 if the bounds are met, 1 if not, 2 for a bad option."""
    options = _parser().parse_args()
    try:
        with staging_folder(Path(tempfile.gettempdir())) as folder:
            found = _run(options, folder)
        if options.out is not None:
            replace_text(options.out, json.dumps(found, indent=1) + "\n")
    except AffectError as error:
        print(f"benchmarks.workers: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
