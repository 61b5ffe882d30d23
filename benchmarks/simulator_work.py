"""What the simulators are timed on: the shared tasks of a peers' folder, and SYNTHETIC ones of any size.

A peers' folder holds the scripts and environments of other simulators. Its ``common.py`` defines the tasks' data,
initial weights and schedule, and is imported from there, so that everybody works from one source.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from tff_affect.errors import InputError

SEED = 7


@dataclass(frozen=True)
class Work:
    """The size of a task: FedAvg with plain SGD and mean squared error over every frame, windows in their order.

    Attributes:
        layer: Key of the registry of models; one recurrent layer and a dense head per frame.
        units: Recurrent units.
        window: Frames per window; windows do not overlap.
        features: Features per frame.
        labels: Label dimensions per frame.
        clients: Registered clients.
        windows: Windows of each client.
        batch: Windows per step.
        sample: Clients in a round.
        rate: Learning rate of the clients.
    """

    layer: str = "lstm"
    units: int = 64
    window: int = 100
    features: int = 20
    labels: int = 2
    clients: int = 27
    windows: int = 75
    batch: int = 15
    sample: int = 27
    rate: float = 0.05

    @property
    def frames_per_round(self) -> int:
        """Frames that all clients of a round learn from."""
        return self.sample * self.windows * self.window


@dataclass(frozen=True)
class Task:
    """Work, and what it is done on.

    Attributes:
        work: Its size.
        sequence: From a client's number to ``[frames, features + labels]``, float32.
        schedule: The clients of each round.
        start: Makes the initial weights, in Keras order; called after the learning process was built.
    """

    work: Work
    sequence: Callable[[int], np.ndarray]
    schedule: list[list[int]]
    start: Callable[[], list[np.ndarray]]


def load_common(peers: Path) -> ModuleType:
    """The peers' ``common.py``: tasks, data, schedule, memory sampler and the form of a result.

    Raises:
        InputError: If the folder has none.
    """
    file = peers / "common.py"
    if not file.is_file():
        raise InputError("expected the peers' common.py; name the folder that holds their scripts", file=file)
    spec = importlib.util.spec_from_file_location("peers_common", file)
    if spec is None or spec.loader is None:
        raise InputError("cannot be imported", file=file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shared_task(common: ModuleType, name: str, rounds: int | None = None) -> Task:
    """A task as the peers do it; ``rounds`` is by default the task's own.

    Raises:
        InputError: For an unknown task.
    """
    if name not in common.TASKS:
        raise InputError(f"--task: expected one of {', '.join(common.TASKS)}, found {name!r}")
    common.ensure_data()
    size = common.TASKS[name]
    work = Work(
        units=common.UNITS, window=common.WIN, features=common.F, labels=common.OUT, rate=common.LR,
        **{key: size[key] for key in ("clients", "windows", "batch", "sample")},
    )  # fmt: skip

    def sequence(client: int) -> np.ndarray:
        parts = (np.asarray(part[client]) for part in common.load(name, mmap=True))
        return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts], axis=1)

    def start() -> list[np.ndarray]:
        return [common.init_weights()[key] for key in common.WNAMES]

    return Task(work, sequence, common.schedule(name, rounds or size["rounds"]), start)


def synthetic_task(work: Work, rounds: int) -> Task:
    """A SYNTHETIC task of any size; every client's data are a function of its number alone."""

    def sequence(client: int) -> np.ndarray:
        rng = np.random.default_rng([SEED, client])
        features = rng.normal(size=(work.windows * work.window, work.features))
        mixing = np.random.default_rng(SEED).normal(size=(work.features, work.labels)) / np.sqrt(work.features)
        return np.concatenate([features, np.tanh(features @ mixing)], axis=1).astype(np.float32)

    def start() -> list[np.ndarray]:
        from tff_affect.client_data import WindowShape
        from tff_affect.config import ModelConfig
        from tff_affect.models.registry import initial_weights

        shape = WindowShape(work.window, work.features, work.labels)
        return initial_weights(ModelConfig(work.layer, units=work.units), shape, SEED)

    def chosen(number: int) -> list[int]:
        rng = np.random.default_rng([SEED, 1, number])
        return sorted(rng.choice(work.clients, work.sample, replace=False).tolist())

    return Task(work, sequence, [chosen(number) for number in range(rounds)], start)
