"""The round engine beside other simulators, on the same work: correctness, speed, memory.

Only SYNTHETIC data. ``run``, ``verify`` and ``compare`` need a folder with the peers' scripts and environments;
``sweep`` needs nothing. See README.md.

    python -m benchmarks.simulator run --peers DIR --task affect-27 --rounds 10
    python -m benchmarks.simulator verify --peers DIR --task affect-27 --rounds 2
    python -m benchmarks.simulator compare --peers DIR --repeats 3
    python -m benchmarks.simulator sweep --what units
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.simulator_work import Work, load_common, shared_task, synthetic_task
from tff_affect.errors import AffectError, InputError, RunError

if TYPE_CHECKING:
    from benchmarks.simulator_engines import Trained

TOLERANCE = 1e-4
_NAMES = {"ours": "tff_affect", "stock": "stock_tff"}


def run(options: argparse.Namespace) -> int:
    """Trains on a shared task and prints its result as the peers print theirs."""
    common = load_common(options.peers.resolve())
    memory = common.MemSampler()
    memory.start()
    task = shared_task(common, options.task, options.rounds)
    described = SimpleNamespace(
        task=options.task, rounds=len(task.schedule), t=common.TASKS[options.task], save_weights=options.save_weights
    )

    def save(number: int, weights: list[np.ndarray]) -> None:
        common.save_weights(described, number, dict(zip(common.WNAMES, weights, strict=True)))

    from benchmarks.simulator_engines import ENGINES, train

    with ENGINES[options.engine](task) as engine:
        trained = train(engine, task, save if options.save_weights else None)
        memory.stop()
    common.report(
        _NAMES[options.engine], described, trained.seconds, dict(zip(common.WNAMES, trained.weights, strict=True)),
        memory, {"engine": options.engine}, trained.loss, _versions(), trained.began - common.T0,
    )  # fmt: skip
    return 0


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("tensorflow", "tensorflow-federated")}


def reference(common: ModuleType, peers: Path, task: str, rounds: int, python: str) -> list[list[np.ndarray]]:
    """Weights after each round, from the peers' float64 ``reference.py``; it is run if they are not there yet.

    Raises:
        InputError: If there is no such script.
        RunError: If it fails.
    """
    files = [peers / "ref" / task / f"round_{number:03d}.npz" for number in range(1, rounds + 1)]
    if not all(file.is_file() for file in files):
        script = peers / "reference.py"
        if not script.is_file():
            raise InputError("expected the peers' float64 reference", file=script)
        ended = subprocess.run([python, str(script), "--task", task, "--rounds", str(rounds)], cwd=peers, check=False)
        if ended.returncode:
            raise RunError(f"reference.py ended with exit code {ended.returncode}")
    return [[np.load(file)[name] for name in common.WNAMES] for file in files]


def verify(options: argparse.Namespace) -> int:
    """Compares the weights after every round with the float64 reference; returns 1 if they differ."""
    peers = options.peers.resolve()
    common = load_common(peers)
    task = shared_task(common, options.task, options.rounds)
    start = task.start()
    expected = reference(common, peers, options.task, len(task.schedule), options.python)
    from benchmarks.simulator_engines import ENGINES, train

    rounds: list[list[np.ndarray]] = []
    with ENGINES[options.engine](task) as engine:
        train(engine, task, lambda _, weights: rounds.append(weights))
    correct = [difference(found, right) < TOLERANCE for found, right in zip(rounds, expected, strict=True)]
    for number, (found, right) in enumerate(zip(rounds, expected, strict=True), start=1):
        print(
            f"{'ok   ' if correct[number - 1] else 'WRONG'} {options.task} round {number}: "
            f"max|w - reference| = {difference(found, right):.1e} (max|reference - start| = "
            f"{difference(right, start):.1e})"
        )
    return 0 if all(correct) else 1


def difference(found: list[np.ndarray], right: list[np.ndarray]) -> float:
    """Largest absolute difference of any weight; infinite for other shapes, or where one is not finite."""
    if [array.shape for array in found] != [array.shape for array in right]:
        return float("inf")
    largest = max(float(np.abs(a - b).max()) for a, b in zip(found, right, strict=True))
    return largest if np.isfinite(largest) else float("inf")


def compare(options: argparse.Namespace) -> int:
    """Runs ours and the peers in turn and prints the table; returns 1 if a bound is not met."""
    from benchmarks import simulator_peers

    comparison = simulator_peers.Comparison(
        options.peers, options.output or Path("runs") / time.strftime("simulator-%Y%m%d-%H%M%S"),
        options.task or tuple(load_common(options.peers.resolve()).TASKS),
        options.only, options.repeats, options.rounds, options.patience, options.limit,
    )  # fmt: skip
    return _show(simulator_peers.compare(comparison))


def _show(results: Path) -> int:
    from benchmarks.simulator_table import load_results, show

    met = show(load_results(results))
    print(f"\nresults: {results}")
    return 0 if met else 1


def case(options: argparse.Namespace) -> int:
    """Trains on SYNTHETIC data of one size; what `sweep` starts for each of its cases."""
    from benchmarks.simulator_machine import Watch, descendants, peak_megabytes

    started, watch = time.perf_counter(), Watch()
    work = Work(**json.loads(options.work))
    task = synthetic_task(work, options.rounds)
    from benchmarks.simulator_engines import ENGINES, train

    with ENGINES[options.engine](task) as engine:
        trained = train(engine, task)
        measured = {
            "peak_mb": peak_megabytes([os.getpid(), *descendants(os.getpid())]),
            "foreign_cpu": watch.foreign(),
        }
    if options.weights is not None:
        np.savez(options.weights, *trained.weights)
    print(json.dumps({"name": _NAMES[options.engine]} | case_result(trained, started) | measured | asdict(work)))
    return 0


def case_result(trained: Trained, started: float) -> dict[str, float]:
    """Seconds of a run: the median steady round (all but the first), the start and the first round apart."""
    steady = trained.seconds[1:] or trained.seconds
    return {
        "s_per_round": float(np.median(steady)),
        "startup_s": trained.began - started,
        "first_round_s": trained.seconds[0],
    }


def sweep(options: argparse.Namespace) -> int:
    """Runs a sweep and prints its table; returns 1 if a case failed, or time did not grow with the frames."""
    from benchmarks import simulator_sweeps as sweeps

    given = {name: getattr(options, name) for name in ("clients", "windows", "batch", "sample", "window", "units")}
    size = replace(sweeps.default_size(options.what), **{name: value for name, value in given.items() if value})
    if options.clients and not options.sample:
        size = replace(size, sample=options.clients)
    default_layers = sweeps.LAYERS if options.what == "layers" else ("lstm", "gru")
    asked = sweeps.Sweep(
        options.what, options.values or sweeps.VALUES[options.what], options.layers or default_layers, size,
        options.rounds, options.repeats, options.patience, options.limit,
    )  # fmt: skip
    rows = sweeps.run_sweep(asked)
    if options.csv is not None:
        rows.to_csv(options.csv, index=False)
    shown = rows.drop(columns=["features", "labels", "rate"])
    print(shown.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.3g}"))
    if (rows["runs"] == 0).any():
        return 1
    if options.what != "frames":
        return 0
    outcome = sweeps.judge_linearity(rows)
    print(f"{outcome}: twice the frames take {sweeps.LINEAR[0]:g} to {sweeps.LINEAR[1]:g} times as long")
    return 0 if outcome == "met" else 1


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {text}")
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _shared(parser: argparse.ArgumentParser, rounds: int | None = None) -> None:
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="folder of the peers' scripts")
    parser.add_argument("--task", required=True, help="a task of their common.py: affect-27 or affect-many")
    parser.add_argument("--rounds", type=_count, default=rounds, help=f"default: {rounds or 'those of the task'}")
    parser.add_argument("--engine", choices=sorted(_NAMES), default="ours", help="stock: TFF as in its tutorials")


def _timing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for an idle machine")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which a run is given up")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("run", help="time a shared task; prints one line of JSON")
    _shared(one)
    one.add_argument("--save-weights", metavar="DIR", help="write the weights after every round to DIR/round_NNN.npz")
    one.set_defaults(command=run)
    checked = commands.add_parser("verify", help="weights after every round against the float64 reference")
    _shared(checked, rounds=2)
    checked.add_argument("--python", default=sys.executable, help="runs the peers' reference.py")
    checked.set_defaults(command=verify)
    _add_compare(commands)
    _add_sweep(commands)
    return parser


def _add_compare(commands: argparse._SubParsersAction) -> None:
    from benchmarks.simulator_peers import DEFAULT_ROWS

    beside = commands.add_parser("compare", help="ours and the peers in turn; a table with ratios and bounds")
    beside.add_argument("--peers", type=Path, required=True, metavar="DIR", help="folder of the peers' scripts")
    beside.add_argument("--task", action="append", help="may be repeated; default: all")
    beside.add_argument("--rounds", type=_count, help="default: the tasks' own")
    beside.add_argument("--repeats", type=_count, default=3)
    beside.add_argument("--only", default=DEFAULT_ROWS, help="regular expression of the rows; '.' is all of them")
    beside.add_argument("--output", type=Path, metavar="DIR", help="default: runs/simulator-TIME")
    _timing(beside)
    beside.set_defaults(command=compare)
    again = commands.add_parser("table", help="the table of an earlier comparison")
    again.add_argument("results", type=Path)
    again.set_defaults(command=lambda options: _show(options.results))


def _add_sweep(commands: argparse._SubParsersAction) -> None:
    swept = commands.add_parser("sweep", help="time and memory over sizes, on SYNTHETIC data")
    swept.add_argument("--what", required=True, choices=("units", "window", "clients", "frames", "layers"))
    swept.add_argument("--values", type=_numbers, help="numbers to try, such as 16,32")
    swept.add_argument("--layers", type=_names, help="such as lstm,gru")
    for name in ("clients", "windows", "batch", "sample", "window", "units"):
        swept.add_argument(f"--{name}", type=_count, help="size of the work where it is not varied")
    swept.add_argument("--rounds", type=_count, default=5)
    swept.add_argument("--repeats", type=_count, default=1)
    swept.add_argument("--csv", type=Path, help="also write the table there")
    _timing(swept)
    swept.set_defaults(command=sweep)
    single = commands.add_parser("case", help="one case of a sweep; prints one line of JSON")
    single.add_argument("work", help="the work's fields as JSON")
    single.add_argument("--engine", choices=sorted(_NAMES), default="ours")
    single.add_argument("--rounds", type=_count, default=5)
    single.add_argument("--weights", type=Path, metavar="FILE", help="write the last weights there (.npz)")
    single.set_defaults(command=case)


def main() -> int:
    """Runs a command; returns its exit code: 0 done and met, 1 failed or not met, 2 wrong input."""
    options = _parser().parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    try:
        return int(options.command(options))
    except AffectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
