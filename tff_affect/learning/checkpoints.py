"""Checkpoints of a training program, over TFF's own file manager. They hold weights and counters, never client data."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tensorflow_federated as tff

_PREFIX = "round_"
_LOG = logging.getLogger(__name__)


class Checkpoints:
    """Numbered states in a folder; the newest three are kept.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._manager = tff.program.FileProgramStateManager(folder, _PREFIX, keep_total=3, keep_first=False)
        # One for all: with a loop of its own each save would get a new thread, and TensorFlow keeps what a thread held.
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_default_executor(ThreadPoolExecutor(1))
        weakref.finalize(self, self._runner.close)

    def save(self, state: Any, version: int) -> None:
        """Saves a structure of arrays; readers see all of it or nothing."""
        self._runner.run(self._save(state, version))

    async def _save(self, state: Any, version: int) -> None:
        if version not in (await self._manager.get_versions() or []):
            await self._manager.save(state, version)
            # A saved model leaves graphs behind that refer to themselves, some MB each, which Python finds very late.
            # They are young: looking through all that is older would take longer than saving.
            gc.collect(1)

    def load_latest(self, structure: Any) -> tuple[Any, int] | None:
        """The newest readable state with its number, shaped like ``structure``; None if there is none.

        A damaged checkpoint is passed over for the one before it.
        """
        return self._runner.run(self._load_latest(structure))

    async def _load_latest(self, structure: Any) -> tuple[Any, int] | None:
        for version in sorted(await self._manager.get_versions() or [], reverse=True):
            try:
                return await self._manager.load(version, structure), version
            except MemoryError:
                raise
            # A damaged SavedModel raises whatever its reader stumbles on.
            except Exception:
                damaged = self._folder / f"damaged_{_PREFIX}{version}"
                shutil.rmtree(damaged, ignore_errors=True)
                (self._folder / f"{_PREFIX}{version}").rename(damaged)
                _LOG.warning("the checkpoint of round %d cannot be read and was set aside as %s", version, damaged.name)
        return None
