"""A whole grid on a tiny SYNTHETIC cohort: run, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said

from data_prep.synthetic import SyntheticConfig, write_synthetic_cohort
from experiments.grid import Grid, start_grid, tabulate
from experiments.rnn_variants import Request, run
from tff_affect.errors import InputError
from tff_affect.progress import Progress
from tff_affect.run_folder import write_json

QUICK = (
    "training.rounds=1", "training.local_epochs=1", "split.folds=2", "seeds=[0]", "model.units=2",
    "methods=[federated]",
)  # fmt: skip


class Lines(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One for each protocol."""
    root = tmp_path_factory.mktemp("cohorts")
    made = {}
    for protocol, fusion in (("mase2021", "mean"), ("avec", "ccc_centred")):
        config = SyntheticConfig(subjects=6, seconds=75, frame_rate=2.5, action_units=("AU06", "AU12"), fusion=fusion)
        made[protocol] = write_synthetic_cohort(root / protocol, config).path
    return made


def grid(protocol: str = "avec") -> Grid:
    return Grid(protocol, "A title", ("lstm",), "c0ffee", "cohort", True, {"data": {}, "model": {}}, (), ())


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    patterns = ("results.csv", "*.npz", "grid.json", "table.*")
    found = sorted(file for pattern in patterns for file in folder.rglob(pattern))
    return {str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.read_bytes()) for file in found}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (_, content) in files(folder).items()}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["avec", "mase2021"])
def test_a_grid_from_start_to_end(
    protocol: str, cohorts: dict[str, Path], tmp_path: Path, command_line: Callable[..., Said]
) -> None:
    folder, variants = tmp_path / "grid", ("lstm", "ridge") if protocol == "avec" else ("simple_rnn",)
    found, records = run(folder, Request(protocol, cohorts[protocol], variants, QUICK), processes=1)
    assert found.variants == variants
    assert {(r["protocol"], r["variant"], r["folds"]) for r in records} == {(protocol, v, 2) for v in variants}
    kinds = {"avec": {"measured", "post-processed"}, "mase2021": {"measured"}}
    assert {record["kind"] for record in records} == kinds[protocol]
    assert all(r["ceiling_mean"] is not None for r in records if r["kind"] == "measured")
    assert {"table.csv", "table.tex", "table.svg", "table.png"} <= {file.name for file in folder.iterdir()}
    delays = [json.loads(file.read_text()) for file in sorted(folder.glob("lstm/*/delay.json"))]
    assert [delay["unit"] for delay in delays] == (["second"] * 2 if protocol == "avec" else [])
    if protocol == "avec":
        resumes(folder, Request(protocol, cohorts[protocol], variants, QUICK))
        is_printed(folder, command_line)


def is_printed(folder: Path, command_line: Callable[..., Said]) -> None:
    code, out, err = command_line("grid", folder, "--resume", "--quiet")
    assert (code, err) == (0, "")
    assert out.count("SYNTHETIC data - protocol avec") == 4
    assert "arousal, post-processed" in out
    said = " ".join(out.split())
    assert "test subjects' too (transductive, no labels)" in said
    assert "Settings apart from the protocol's: training.rounds=1, " in said


def resumes(folder: Path, request: Request) -> None:
    """With its own settings, of which none need be said again; with others it is refused."""
    before = files(folder)
    lines = Lines()
    run(folder, Request(), 1, resume=True, progress=lines)
    assert lines.said == ["lstm (1 of 2): finished before", "ridge (2 of 2): finished before"]
    assert contents(folder) == {name: content for name, (_, content) in before.items()}
    assert all(files(folder)[name][0] == time for name, (time, _) in before.items() if "/" in name)

    # The summary stays: 'tff-affect evaluate' writes it of a part of the runs too.
    for file in ("results.csv", "weights/federated.npz"):
        (folder / "ridge" / "seed-0_fold-1" / file).unlink()
    run(folder, Request(), 1, resume=True)
    assert contents(folder) == {name: content for name, (_, content) in before.items()}

    with pytest.raises(InputError, match="not empty"):
        run(folder, request, 1)
    more = Request(overrides=(*request.overrides, "training.batch_size=2"))
    with pytest.raises(InputError, match="another setting of 'settings'"):
        run(folder, more, 1, resume=True)
    study = json.loads((folder / "ridge" / "study.json").read_text())
    write_json(folder / "ridge" / "study.json", study | {"data": study["data"] | {"target": "window"}})
    with pytest.raises(InputError, match="differs from its grid in 'data'"):
        tabulate(folder)
    write_json(folder / "ridge" / "study.json", study)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept", encoding="utf-8")
    for resume, said in ((False, "not empty"), (True, "no grid to resume")):
        with pytest.raises(InputError, match=said):
            start_grid(tmp_path, grid(), resume)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_a_grid_of_another_protocol_is_refused(tmp_path: Path) -> None:
    start_grid(tmp_path / "grid", grid(), resume=False)
    assert Grid.read(tmp_path / "grid") == grid()
    start_grid(tmp_path / "grid", grid(), resume=True)
    with pytest.raises(InputError, match="another setting of 'protocol'"):
        start_grid(tmp_path / "grid", grid("mase2021"), resume=True)
    write_json(tmp_path / "grid" / "grid.json", {"protocol": "avec"})
    with pytest.raises(InputError, match="expected what 'tff-affect grid' writes"):
        Grid.read(tmp_path / "grid")
