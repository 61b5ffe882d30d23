"""Event files of TensorBoard: the numbers of ``rounds.csv``, and nothing else.

They follow the table, so that nothing comes into them that the table withholds, and begin anew where training goes on
after it was cut off: no round is in them twice. They are written by TensorBoard's own encoder.
``tff.program.TensorBoardReleaseManager`` is not used, because it puts the machine's name into the files' names.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tff_affect.atomic import append_bytes, replace_bytes
from tff_affect.round_tables import ROUNDS

LOGS = "tensorboard"
"""Folder of the event files, beside the table that they follow."""
_FILES = "events.out.tfevents."
_VERSION = "brain.Event:2"


class TensorBoardLogs:
    """The event file of one federated training.

    Tags are the columns of ``rounds.csv``, grouped as TensorBoard shows them: ``train/loss``,
    ``development_ccc/arousal_mean``. The step is the round.

    Args:
        folder: That of ``rounds.csv``.
    """

    def __init__(self, folder: Path) -> None:
        self._rounds, self._folder = folder / ROUNDS, folder / LOGS
        self._file: Path | None = None
        self._read = 0
        self._columns: list[str] = []

    def begin(self) -> None:
        """Starts a file with the rounds that the table holds, in the place of what is there."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(exist_ok=True)
        old = set(self._folder.glob(f"*{_FILES}*"))
        self._read, self._columns = 0, []
        # A TensorBoard that is running forgets what it had read when a session starts.
        start = Event(wall_time=time.time(), session_log=SessionLog(status=SessionLog.START))
        events = [Event(wall_time=time.time(), file_version=_VERSION), start, *self._new_events()]
        # By their names TensorBoard reads files in the order of their seconds; two of one second would be one.
        self._file = self._folder / f"{_FILES}{time.time():.6f}"
        replace_bytes(self._file, _encoded(events))
        for file in old - {self._file}:
            file.unlink(missing_ok=True)

    def follow(self) -> None:
        """Adds the rounds that came to the table since."""
        if self._file is not None:
            append_bytes(self._file, _encoded(self._new_events()))

    def _new_events(self) -> list:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        return [
            Event(wall_time=time.time(), step=number, summary=scalar_pb(tag, value))
            for row in self._new_rows()
            for number in [int(row["round"])]
            for tag, value in _scalars(row).items()
        ]

    def _new_rows(self) -> list[dict[str, str]]:
        with open(self._rounds, "rb") as stream:
            stream.seek(self._read)
            added = stream.read()
        self._read += len(added)
        lines = list(csv.reader(io.StringIO(added.decode("utf-8"))))
        if not self._columns and lines:
            self._columns, *lines = lines
        return [dict(zip(self._columns, line, strict=True)) for line in lines]


def _scalars(row: Mapping[str, str]) -> dict[str, float]:
    """Tag and value of each cell that says something."""
    return {_tag(name): float(cell) for name, cell in row.items() if name != "round" and cell}


def _tag(column: str) -> str:
    for group in ("development_ccc", "train"):
        if column.startswith(f"{group}_"):
            return f"{group}/{column.removeprefix(f'{group}_')}"
    return f"train/{column}"


def _encoded(events: Iterable) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    stream = io.BytesIO()
    writer = RecordWriter(stream)
    for event in events:
        writer.write(event.SerializeToString())
    return stream.getvalue()
