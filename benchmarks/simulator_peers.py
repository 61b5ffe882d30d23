"""Runs this package beside other simulators, in turn, each alone on the machine."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.simulator_machine import run_for_json, wait_until_idle
from tff_affect.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
OURS, STOCK = "ours", "stock_tff"
DEFAULT_ROWS = "^(flower|pfl_p2|pfl_p1t1|fedjax|jax_map_d2|torch_p2|stock_tff)"
_NOT_A_RUN = "limit"
_OWN_PYTHON = "$TFPY"
_CONFIGURATION = re.compile(r'^\s*"(?P<label>[^|"]+)\|(?P<python>[^|"]+)\|(?P<script>[^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A configuration of a simulator.

    Attributes:
        label: Its name in the table.
        command: What is run, without task and rounds.
        folder: Where.
    """

    label: str
    command: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        peers: The peers' folder.
        output: Takes ``results.jsonl`` and the error output of what failed.
        tasks: Names of the tasks.
        only: Regular expression of the rows' labels.
        repeats: How often everything is run.
        rounds: Of each run; None for the tasks' own.
        patience: Seconds to wait for an idle machine before each run.
        limit: Seconds after which a run is given up.
    """

    peers: Path
    output: Path
    tasks: Sequence[str]
    only: str = DEFAULT_ROWS
    repeats: int = 3
    rounds: int | None = None
    patience: float = 120.0
    limit: float = 900.0


def own_row(peers: Path, engine: str = OURS) -> Row:
    """This package's engine, or stock TFF, as a row."""
    name = "ours" if engine == OURS else "stock"
    command = (sys.executable, "-m", "benchmarks.simulator", "run", "--peers", str(peers), "--engine", name)
    return Row(engine, command, ROOT)


def peer_rows(peers: Path) -> list[Row]:
    """The configurations of the peers' ``configs.sh`` whose environment is installed, and stock TFF.

    Raises:
        InputError: If there is no such file, or nothing in it.
    """
    file = peers / "configs.sh"
    if not file.is_file():
        raise InputError('expected the peers\' configs.sh, with lines "label|python|script and options"', file=file)
    rows = []
    for found in _CONFIGURATION.finditer(file.read_text(encoding="utf-8")):
        own = found["python"] == _OWN_PYTHON
        python = Path(sys.executable) if own else peers / found["python"]
        if found["label"] != _NOT_A_RUN and python.exists():
            rows.append(Row(found["label"], (str(python), *found["script"].split()), peers))
    if not rows:
        raise InputError("none of its configurations is installed in this folder", file=file)
    return [*rows, own_row(peers, STOCK)]


def chosen_rows(comparison: Comparison) -> list[Row]:
    """The rows to compare with.

    Raises:
        InputError: If ``only`` is no regular expression or fits none.
    """
    rows = peer_rows(comparison.peers)
    try:
        chosen = [row for row in rows if re.search(comparison.only, row.label)]
    except re.error as error:
        raise InputError(f"--only: not a regular expression: {error}") from error
    if not chosen:
        raise InputError(f"--only {comparison.only!r} fits none of {', '.join(row.label for row in rows)}")
    return chosen


def compare(comparison: Comparison) -> Path:
    """Runs everything, our engine anew before each peer, and writes a line per run.

    Drift of the machine so hits both of a pair; ratios are taken within pairs.

    Returns:
        The file of results.

    Raises:
        InputError: If the output folder holds results, or for wrong rows.
    """
    comparison = replace(comparison, peers=comparison.peers.resolve(), output=comparison.output.resolve())
    rows, ours = chosen_rows(comparison), own_row(comparison.peers)
    results = comparison.output / "results.jsonl"
    if results.exists():
        raise InputError("holds results already; name another --output", file=results)
    comparison.output.mkdir(parents=True, exist_ok=True)
    for repeat in range(1, comparison.repeats + 1):
        for task in comparison.tasks:
            for beside in rows:
                for row in (ours, beside):
                    place = {"label": row.label, "beside": beside.label, "repeat": repeat, "task": task}
                    result = place | _run(row, place, comparison)
                    with open(results, "a", encoding="utf-8") as stream:
                        stream.write(json.dumps(result) + "\n")
                    print(_said(result), flush=True)
    return results


def _run(row: Row, place: dict[str, Any], comparison: Comparison) -> dict[str, Any]:
    busy = wait_until_idle(comparison.patience)
    command = [*row.command, "--task", place["task"]]
    if comparison.rounds is not None:
        command += ["--rounds", str(comparison.rounds)]
    errors = comparison.output / "{label}.{beside}.{task}.{repeat}.err".format_map(place)
    result = run_for_json(command, row.folder, errors, comparison.limit)
    shutil.rmtree(comparison.peers / "ray", ignore_errors=True)  # what Flower leaves behind
    return {"busy_before": round(busy, 3), **result}


def _said(result: dict[str, Any]) -> str:
    head = "repeat {repeat} {task} {label}: ".format_map(result)
    if "failed" in result:
        return head + f"FAILED (exit code {result['failed']}); its errors are in the output folder"
    return head + "{s_per_round:.3f} s a round, {foreign_cpu:.0%} foreign CPU".format_map(result)
