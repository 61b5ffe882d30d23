"""One training of an anonymiser, in one place or by federated averaging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.face_settings import FaceConfig
from tff_affect.anonymizer.config import FEDERATED
from tff_affect.face_set import FaceSet
from tff_affect.progress import StepDone
from tff_affect.splits import Split
from tff_affect.streams import stream

if TYPE_CHECKING:
    from tff_affect.anonymizer.game import Anonymizer


def train_on(
    faces: FaceSet, split: Split, config: FaceConfig, seed: int, step_done: StepDone | None = None
) -> Anonymizer:
    """Trains on the training people of a split; where it is federated, some of them are public and no clients.

    Raises:
        InputError: For settings or faces that do not do.
        RunError: If training fails.
    """
    if config.anonymizer.objective != FEDERATED:
        from tff_affect.anonymizer.game import train

        return train(faces.of(split.train), faces.of(split.development), config.anonymizer, seed, step_done)
    from tff_affect.anonymizer.federated import train_federated
    from tff_affect.learning.runtime import local_runtime

    order = stream(seed, "public people").permutation(split.train)
    public = max(2, round(config.federated.public * len(order)))
    clients, others = faces.of(order[public:]), faces.of(order[:public])
    with local_runtime():
        return train_federated(clients, others, config.anonymizer, config.federated, seed, step_done)
