"""The parts of a frontier study: one transformation at one strength and seed each, done once and kept in one file.

Parts are independent and derive all that is random from their seed. A study that was cut off, or is asked for more,
carries out what is not there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.face_settings import FaceConfig, FrontierConfig, divide
from experiments.face_training import train_on
from experiments.side_by_side import carry_out
from tff_affect.anonymizer.baselines import Blur, Constant, GaussianNoise, Pixelate, Unchanged
from tff_affect.anonymizer.config import IDENTITY_ONLY
from tff_affect.atomic import replace_bytes
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.progress import Progress
from tff_affect.report.face_grid import rows_to_show
from tff_affect.report.faces import learned_name
from tff_affect.run_folder import read_json, write_json
from tff_affect.streams import stream_of

SINGLE_TASK: Mapping[str, tuple[str, float]] = {
    "emotion only": ("adversary", 0.0),
    "identity only": (IDENTITY_ONLY, 0.0),
}
"""Networks that know no game -> their objective and privacy weight."""
TRANSFORMED, REBUILT = "transformed", "rebuilt"

Transformation = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Part:
    """One transformation at one strength and seed.

    Attributes:
        kind: Objective of a trained one, a single task, or name of a baseline.
        strength: Privacy weight, or the baseline's own.
        seed: Of everything random.
        trained: Whether it is trained.
    """

    kind: str
    strength: float
    seed: int
    trained: bool = False

    @property
    def name(self) -> str:
        """Of its files, and for progress."""
        return f"seed-{self.seed}_{'trained-' if self.trained else ''}{self.kind}-{self.strength:g}"

    @property
    def transformation(self) -> str:
        """As tables call it."""
        return learned_name(self.kind) if self.trained else self.kind

    @property
    def cost(self) -> float:
        """Rough: trained ones take longest."""
        return 1.0 + self.trained


def parts_of(frontier: FrontierConfig) -> list[Part]:
    """All parts; of each seed the ceiling and the floor first, then other baselines, then what is trained."""
    found = []
    for seed in frontier.seeds:
        found += [Part(Unchanged.name, 0.0, seed), Part(Constant.name, 0.0, seed)]
        for kind in (Blur.name, Pixelate.name, GaussianNoise.name):
            found += [Part(kind, float(strength), seed) for strength in getattr(frontier, kind)]
        found += [Part(kind, 0.0, seed, trained=True) for kind in SINGLE_TASK if frontier.single_task]
        for objective in frontier.objectives:
            found += [Part(objective, float(weight), seed, trained=True) for weight in frontier.privacy_weights]
    return found


def baseline(part: Part) -> Transformation:
    """The transformation of a part that is not trained."""
    made: dict[str, Callable[[], Transformation]] = {
        Unchanged.name: Unchanged,
        Constant.name: Constant,
        Blur.name: lambda: Blur(part.strength),
        Pixelate.name: lambda: Pixelate(int(part.strength)),
        GaussianNoise.name: lambda: GaussianNoise(part.strength, part.seed),
    }
    return made[part.kind]()


def do_part(folder: Path, part: Part, faces: FaceSet, config: FaceConfig, pictures: bool) -> None:
    """Carries out a part and keeps what came of it; of pictures first, so that a result's pictures are there.

    Args:
        folder: Of the parts.
        part: Which.
        faces: All people's.
        config: All settings.
        pictures: Whether test people's transformed and rebuilt images are kept for the picture grid.

    Raises:
        InputError: For settings that do not fit the faces.
    """
    from tff_affect.anonymizer.evaluation import evaluate

    split = divide(faces, config.division, part.seed)
    transformation, known = (baseline(part), {}) if not part.trained else _trained(part, faces, config)
    attacks = replace(config.attacks, known=config.attacks.known and part.trained)
    found = evaluate(transformation, part.transformation, part.strength, faces, split, part.seed, attacks, **known)
    if pictures:
        test = faces.of(split.test)
        rows = rows_to_show(test)
        shown = {TRANSFORMED: transformation(test.images)[rows]}
        if found.reconstruction is not None and found.reconstruction.images is not None:
            shown[REBUILT] = found.reconstruction.images[rows]
        stream = io.BytesIO()
        np.savez(stream, **shown)
        replace_bytes(folder / f"{part.name}.npz", stream.getvalue())
    write_json(folder / f"{part.name}.json", found.to_json())


def _trained(part: Part, faces: FaceSet, config: FaceConfig) -> tuple[Transformation, dict[str, Any]]:
    """The trained transformation, and what its own head and its adversary say."""
    from tff_affect.emotion_scores import score_emotions

    split = divide(faces, config.division, part.seed)
    objective, weight = SINGLE_TASK.get(part.kind, (part.kind, part.strength))
    settings = replace(config.anonymizer, objective=objective, privacy_weight=weight)
    anonymizer = train_on(faces, split, replace(config, anonymizer=settings), part.seed)
    transformation = WithNoise(anonymizer.transform, part.seed)
    test = faces.of(split.test)
    own = score_emotions(anonymizer.emotion(transformation(test.images)), test, anonymizer.classes, part.seed)
    return transformation, {
        "own_emotion": own, "adversary": anonymizer.adversary_accuracy,
        "adversary_people": anonymizer.adversary_people, "people": anonymizer.people,
    }  # fmt: skip


@dataclass(frozen=True)
class WithNoise:
    """A trained transformation whose noise derives from a seed and the images: the same come out the same.

    Attributes:
        transform: From images and a seed.
        seed: Of the noise.
    """

    transform: Callable[[np.ndarray, int], np.ndarray]
    seed: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Transformed images."""
        return self.transform(images, int(stream_of(self.seed, "noise", images).integers(2**63)))


def read_part(folder: Path, part: Part) -> dict[str, Any]:
    """The row of a part that was carried out.

    Raises:
        InputError: If its file is missing or damaged.
    """
    from tff_affect.anonymizer.evaluation import Evaluation

    file = folder / f"{part.name}.json"
    try:
        return Evaluation.from_json(read_json(file)).row()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "expected what a study keeps of a part, found it changed; remove it, and it is done again", file=file
        ) from error


def read_pictures(folder: Path, part: Part) -> Mapping[str, np.ndarray]:
    """The pictures of a part; none where it kept none."""
    file = folder / f"{part.name}.npz"
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def is_done(folder: Path, part: Part, pictures: bool) -> bool:
    """Whether a part needs not be carried out."""
    return (folder / f"{part.name}.json").is_file() and (not pictures or (folder / f"{part.name}.npz").is_file())


def run_parts(
    folder: Path,
    parts: Mapping[Part, bool],
    faces: FaceSet,
    config: FaceConfig,
    processes: int,
    progress: Progress,
) -> None:
    """Carries out the parts that are not there, several at a time.

    Args:
        folder: Of the parts; it must be there.
        parts: Each with whether its pictures are kept.
        faces: All people's.
        config: All settings.
        processes: At most; 0 for one a core.
        progress: Shows how many are done.

    Raises:
        InputError: For settings that do not fit the faces.
        RunError: If a process died, as for want of memory; finished parts stay.
    """
    waiting = {part: kept for part, kept in parts.items() if not is_done(folder, part, kept)}
    shown = frozenset(part for part, kept in waiting.items() if kept)
    with progress.task("transformations", len(waiting)) as task:
        carry_out(list(waiting), _do, (folder, faces, config, shown), processes, task)


def _do(given: tuple[Path, FaceSet, FaceConfig, frozenset[Part]], part: Part) -> None:
    folder, faces, config, shown = given
    do_part(folder, part, faces, config, part in shown)
