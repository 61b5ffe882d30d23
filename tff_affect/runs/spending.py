"""What a private training has computed: a line for each round, written before it begins.

A round that is computed again after a crash, or dropped because training had ended, has drawn noise anew and counts
once more. Where noise is reproducible it is the same release, and counts once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tff_affect.errors import InputError

SPENT = "spent.csv"
_HEADER = "round"


class Spending:
    """``spent.csv`` of one training.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / SPENT

    def begin(self, number: int) -> None:
        """A round, one-based, is about to be computed; it is on disk when this returns."""
        with open(self._file, "a+b") as stream:
            stream.write(_opening(stream) + f"{number}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())

    def rounds(self, reproducible: bool = False) -> list[int]:
        """Numbers of the rounds computed, in order; each once where they are reproducible.

        Raises:
            InputError: If the file was altered.
        """
        if not self._file.exists():
            return []
        lines = self._file.read_text(encoding="utf-8").split()
        if not lines or lines[0] != _HEADER or not all(line.isdecimal() for line in lines[1:]):
            raise InputError("expected the rounds computed, one number a line; do not edit it", file=self._file)
        numbers = [int(line) for line in lines[1:]]
        return sorted(set(numbers)) if reproducible else numbers


def _opening(stream: BinaryIO) -> bytes:
    """What has to stand before the next line: the header, or the end of a line that a full disk cut off.

    Such a line stays and counts: too many rounds are safe, too few are not.
    """
    stream.seek(0)
    found = stream.read()
    if b"\n" not in found:
        stream.truncate(0)
        return f"{_HEADER}\n".encode()
    return b"" if found.endswith(b"\n") else b"\n"
