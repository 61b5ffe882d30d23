"""A grid: one study per variant, in folders below one folder, and the table of them all.

``grid.json`` names protocol, variants and settings; each variant is an ordinary study, which can be looked at, resumed
and evaluated by itself. A grid is resumed as a whole: finished variants are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.train import SUMMARY, train
from tff_affect.config import StudyConfig
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_study
from tff_affect.progress import Progress
from tff_affect.report.grid import GridText, grid_records, write_grid_tables
from tff_affect.report.grid_plot import write_grid_figure
from tff_affect.run_folder import STUDY, read_json, write_json
from tff_affect.splits import Split

GRID = "grid.json"
_TRANSDUCTIVE = (
    "Features are standardised by each subject's whole recording, test subjects' too (transductive, no labels)."
)


@dataclass(frozen=True)
class Grid:
    """What ``grid.json`` says.

    Attributes:
        protocol: Name of the protocol.
        title: What the protocol is, for captions.
        variants: Variants in order; each is a study in a folder of that name.
        cohort: Content hash of the cohort.
        cohort_name: Its name.
        synthetic: Whether it is generated.
        settings: The studies' configuration, less the cohort's folder and the variant's name.
        overrides: What in it was set apart from the protocol.
        notes: Said with every table: doubts about the gold standard, remarks of the protocol.
    """

    protocol: str
    title: str
    variants: tuple[str, ...]
    cohort: str
    cohort_name: str
    synthetic: bool
    settings: Mapping[str, Any]
    overrides: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Grid:
        """Reads ``grid.json``.

        Raises:
            InputError: If there is none, or it is no grid's.
        """
        file = Path(folder) / GRID
        if not file.is_file():
            raise InputError("there is no grid here", file=folder)
        content = read_json(file)
        try:
            lists = {name: tuple(content[name]) for name in ("variants", "overrides", "notes")}
            return cls(**{**content, **lists})
        except (TypeError, KeyError) as error:
            raise InputError("expected what 'tff-affect grid' writes", file=file) from error


def shared_settings(config: StudyConfig) -> dict[str, Any]:
    """What all studies of a grid have in common, as ``study.json`` has it."""
    settings = asdict(replace(config, data=replace(config.data, cohort="")))
    del settings["model"]["name"]
    return settings


def start_grid(folder: Path, grid: Grid, resume: bool) -> None:
    """Writes ``grid.json``, or checks that the one there is the same.

    Raises:
        InputError: If the folder holds anything else.
    """
    if (folder / GRID).is_file() and resume:
        found = asdict(Grid.read(folder))
        differing = [name for name, value in asdict(grid).items() if found[name] != value]
        if differing:
            raise InputError(
                f"the grid here was started with another setting of {differing[0]!r}; resume it unchanged, or name a "
                "new folder",
                file=folder,
            )
        return
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        hint = "there is no grid to resume here" if resume else "the folder is not empty; name a new one, or --resume"
        raise InputError(hint, file=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    write_json(folder / GRID, asdict(grid))


def run_grid(
    folder: Path,
    configs: Mapping[str, StudyConfig],
    splits: Sequence[Split],
    processes: int,
    progress: Progress,
    delay_of: Callable[[Split], float] | None = None,
) -> None:
    """Runs the study of each variant that is not finished.

    Raises:
        InputError: For anything wrong with cohort or settings. Where nothing was trained yet, nothing is left behind.
    """
    try:
        _run_studies(folder, configs, splits, processes, progress, delay_of)
    except InputError:
        _withdraw(folder)
        raise


def _run_studies(
    folder: Path,
    configs: Mapping[str, StudyConfig],
    splits: Sequence[Split],
    processes: int,
    progress: Progress,
    delay_of: Callable[[Split], float] | None,
) -> None:
    for number, (variant, config) in enumerate(configs.items(), start=1):
        place = folder / variant
        if _finished(place, config, splits):
            progress.say(f"{variant} ({number} of {len(configs)}): finished before")
            continue
        progress.say(f"{variant} ({number} of {len(configs)})")
        train(config, place, (place / STUDY).is_file(), progress, processes, delay_of)


def _finished(study: Path, config: StudyConfig, splits: Sequence[Split]) -> bool:
    """Whether all runs of a study are done; a summary alone is also written of a part of them."""
    if not (study / SUMMARY).is_file():
        return False
    from tff_affect.runs.planned import plan_runs, runs_left

    return not runs_left(study, config, plan_runs(config, splits))


def _withdraw(folder: Path) -> None:
    """Removes a grid of which nothing but its description was written, so that it can be started again."""
    if [entry.name for entry in folder.iterdir()] == [GRID]:
        (folder / GRID).unlink()
        folder.rmdir()


def tabulate(folder: Path) -> tuple[Grid, list[dict[str, Any]]]:
    """Writes ``table.csv``, ``table.tex``, ``table.svg`` and ``table.png`` from the studies of a finished grid.

    Returns:
        The grid, and the rows of ``table.csv``.

    Raises:
        InputError: If a study is missing, or is not the one that the grid names.
    """
    grid = Grid.read(folder)
    records: list[dict[str, Any]] = []
    for variant in grid.variants:
        _check_study(folder / variant, variant, grid)
        results = read_study(folder / variant)
        records += grid_records(grid.protocol, variant, results, grid.synthetic)
    text = text_of(grid)
    write_grid_tables(folder, records, text)
    write_grid_figure(folder, records, text)
    return grid, records


def text_of(grid: Grid) -> GridText:
    """What is said with the grid's numbers."""
    scaling = _TRANSDUCTIVE if grid.settings["data"].get("scaling") == "subject" else ""
    apart = f"Settings apart from the protocol's: {', '.join(grid.overrides)}." if grid.overrides else ""
    notes = tuple(note for note in (scaling, *grid.notes, apart) if note)
    return GridText(grid.protocol, grid.title, grid.cohort_name, grid.synthetic, notes)


def _check_study(study: Path, variant: str, grid: Grid) -> None:
    """Raises `InputError` for a study of another cohort, protocol or variant: its numbers belong in another table."""
    found = read_json(study / STUDY)
    model = dict(found.get("model", {})) if isinstance(found, dict) else {}
    expected: dict[str, Any] = {"cohort": grid.cohort, **grid.settings, "model": grid.settings["model"]}
    name = model.pop("name", None)
    differing = [key for key, value in expected.items() if (model if key == "model" else found.get(key)) != value]
    if name != variant or differing:
        what = differing[0] if differing else "model.name"
        raise InputError(f"the study differs from its grid in {what!r}; it belongs in another table", file=study)


def unique(names: Sequence[str], what: str) -> tuple[str, ...]:
    """The names, none of them twice.

    Raises:
        InputError: If one is, or there is none.
    """
    if not names or len(set(names)) != len(names):
        raise InputError(f"{what}: expected at least one and none twice, found {', '.join(names) or 'none'}")
    return tuple(names)
