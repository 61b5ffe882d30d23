"""The parts of a gait study, each done once and kept in a file of its own.

``loso``: emotion of one person, read by a network that learned from all others of the study. ``shallow``: the same by
shallow learners, all people of the study by turns. ``strangers``: networks that learned from everybody in the study,
with all losses or without one, judged by strangers. ``federated``: likewise, where gaits stay with their people.
``reference``: what strangers' gaits themselves give away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.gait_settings import GaitExperiment, GaitStudyConfig, divide, preparation
from experiments.side_by_side import carry_out
from tff_affect.gait.config import LOSSES, GaitConfig
from tff_affect.gait.saved import DESCRIPTION
from tff_affect.gait_set import GaitSet
from tff_affect.plain_json import plain
from tff_affect.progress import Progress
from tff_affect.report.gait_verdicts import EMOTION_CODE, FULL, PLAIN, RAW
from tff_affect.run_folder import read_json, write_json

LOSO, SHALLOW, STRANGERS, FEDERATED, REFERENCE = "loso", "shallow", "strangers", "federated", "reference"
REVERSED, FEATURES = "CNN with gradient reversal", "gait features"
NETWORKS = (EMOTION_CODE, PLAIN, REVERSED)
_KEPT = (STRANGERS, FULL)
_COSTS = {SHALLOW: 20.0, FEDERATED: 8.0, REFERENCE: 4.0, STRANGERS: 3.0, LOSO: 1.0}


@dataclass(frozen=True)
class Part:
    """One part of a study.

    Attributes:
        kind: One of the module's kinds.
        method: Network, representation, or which loss is left out.
        seed: Of everything random.
        person: Number of the person who is left out, among those of the study; -1 where nobody is.
    """

    kind: str
    method: str
    seed: int
    person: int = -1

    @property
    def name(self) -> str:
        """Of its files, and for progress."""
        who = "" if self.person < 0 else f"-{self.person}"
        return f"seed-{self.seed}_{self.kind}-{self.method.replace(' ', '_')}{who}"

    @property
    def cost(self) -> float:
        """Rough."""
        return _COSTS[self.kind] / (10 if self.method in (PLAIN, REVERSED, FEATURES) else 1)


def parts_of(study: GaitStudyConfig, people: int) -> list[Part]:
    """All parts of a study in which so many people are left out by turns."""
    found = []
    for seed in study.seeds:
        found += [Part(STRANGERS, FULL, seed), *(Part(REFERENCE, shown, seed) for shown in (RAW, FEATURES))]
        found += [Part(STRANGERS, name, seed) for name in left_out(study, seed)]
        found += [Part(FEDERATED, FULL, seed)] if study.federated else []
        if study.leave_one_out and study.shallow:
            found += [Part(SHALLOW, shown, seed) for shown in (RAW, FEATURES)]
        if study.leave_one_out:
            found += [Part(LOSO, network, seed, person) for network in NETWORKS for person in range(people)]
    return found


def left_out(study: GaitStudyConfig, seed: int) -> list[str]:
    """What is left out by turns with a seed."""
    return study.ablations if seed in study.seeds[: study.ablation_seeds] else []


def without(name: str, config: GaitConfig) -> GaitConfig:
    """The settings with a part left out."""
    if name == FULL:
        return config
    if name == "noise":
        return replace(config, emotion_noise=0.0)
    if name == "game":
        left_out: Any = {loss: 0.0 for loss in LOSSES if loss != "emotion"}
        return replace(config, **left_out)
    only: Any = {name: 0.0}
    return replace(config, **only)


def do_part(folder: Path, part: Part, gaits: GaitSet, config: GaitExperiment) -> None:
    """Carries out a part and keeps what came of it.

    Args:
        folder: Of the parts.
        part: Which.
        gaits: Of all people.
        config: All settings.

    Raises:
        InputError: For settings that do not fit the gaits.
    """
    study, strangers = divide(gaits, config.study, part.seed)
    done: Mapping[str, Callable[[], Any]] = {
        LOSO: lambda: _left_out(part, study, config),
        SHALLOW: lambda: _read_by_turns(part, study),
        STRANGERS: lambda: _judged(folder, part, study, strangers, config),
        FEDERATED: lambda: _federated(part, study, strangers, config),
        REFERENCE: lambda: _given_away(part, strangers),
    }
    write_json(folder / f"{part.name}.json", plain(done[part.kind]()))


def _left_out(part: Part, study: GaitSet, config: GaitExperiment) -> dict[str, Any]:
    """Numbers of emotions that are read in the person who is left out."""
    person = study.people[part.person]
    others, own = study.of([name for name in study.people if name != person]), study.of([person])
    if part.method == EMOTION_CODE:
        from tff_affect.gait.training import train

        read = train(others, own, config.gait, part.seed).emotion(own, part.seed)
    else:
        from tff_affect.gait.plain_network import PlainConfig, train_plain

        reversal = config.study.reversal if part.method == REVERSED else 0.0
        settings = PlainConfig(reversal=reversal, mirrored=config.gait.mirrored)
        read = train_plain(others, settings, part.seed).emotion(own)
    return {"read": read.argmax(axis=1).tolist()}


def _read_by_turns(part: Part, study: GaitSet) -> dict[str, Any]:
    from tff_affect.gait.shallow import REPRESENTATIONS, read_shallow

    found = read_shallow(study, REPRESENTATIONS[part.method](study), part.seed)
    return {name: asdict(scores) for name, scores in found.items()}


def _judged(folder: Path, part: Part, study: GaitSet, strangers: GaitSet, config: GaitExperiment) -> dict[str, Any]:
    from tff_affect.gait.evaluation import judge
    from tff_affect.gait.saved import save_disentangler
    from tff_affect.gait.training import train

    networks = train(study, strangers, without(part.method, config.gait), part.seed)
    found = asdict(judge(networks, study, strangers, part.seed))
    if (part.kind, part.method) == _KEPT:
        place = folder / part.name
        place.mkdir(exist_ok=True)
        save_disentangler(place, networks, preparation(config.walks), {"synthetic": study.synthetic})
    return found


def _federated(part: Part, study: GaitSet, strangers: GaitSet, config: GaitExperiment) -> dict[str, Any]:
    from tff_affect.gait.evaluation import judge_shared
    from tff_affect.gait.federated import train_federated
    from tff_affect.learning.runtime import local_runtime

    with local_runtime():
        shared = train_federated(study, config.gait, config.federated, part.seed)
    return asdict(judge_shared(shared, study, strangers, part.seed))


def _given_away(part: Part, strangers: GaitSet) -> dict[str, Any]:
    from tff_affect.gait.evaluation import leak
    from tff_affect.gait.shallow import REPRESENTATIONS

    return asdict(leak(strangers, REPRESENTATIONS[part.method](strangers), part.seed))


def run_parts(
    folder: Path, parts: list[Part], gaits: GaitSet, config: GaitExperiment, processes: int, progress: Progress
) -> None:
    """Carries out the parts that are not there, several at a time.

    Raises:
        InputError: For settings that do not fit the gaits.
        RunError: If a process died, as for want of memory; finished parts stay.
    """
    waiting = [part for part in parts if not _is_done(folder, part)]
    with progress.task("parts", len(waiting)) as task:
        carry_out(waiting, _do, (folder, gaits, config), processes, task)


def _is_done(folder: Path, part: Part) -> bool:
    """Whether all is there that it leaves; of a study's networks more is asked than their figures."""
    files = [f"{part.name}.json", *([f"{part.name}/{DESCRIPTION}"] if (part.kind, part.method) == _KEPT else [])]
    return all((folder / file).is_file() for file in files)


def _do(given: tuple[Path, GaitSet, GaitExperiment], part: Part) -> None:
    folder, gaits, config = given
    do_part(folder, part, gaits, config)


def read_part(folder: Path, part: Part) -> Any:
    """What came of a part that was carried out."""
    return read_json(folder / f"{part.name}.json")


def read_loso(folder: Path, part: Part, people: int) -> np.ndarray:
    """``[cycle]`` numbers of emotions read by a kind of network, of all people of the study in their order."""
    return np.concatenate([read_part(folder, replace(part, person=person))["read"] for person in range(people)])
