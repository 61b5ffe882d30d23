"""Watches folders for whatever is created or written in them, however short its life (Linux inotify)."""

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_IS_FOLDER = 0x40000000
_HEADER = struct.Struct("iIII")


class FileWatch:
    """Collects the paths of files that appear or change below some folders."""

    def __init__(self, *folders):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK)
        self._folders = {}
        self.files = set()
        for folder in folders:
            self._add(Path(folder))

    def _add(self, folder):
        code = self._libc.inotify_add_watch(self._handle, os.fsencode(folder), _MODIFY | _MOVED_TO | _CREATE)
        if code < 0:
            return
        self._folders[code] = folder
        with suppress(FileNotFoundError):  # renamed or gone meanwhile
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    self._add(entry)

    def poll(self):
        """Takes in what happened since; call it often, since new folders are watched only from then on."""
        while True:
            try:
                content = os.read(self._handle, 1 << 20)
            except BlockingIOError:
                return
            while content:
                watch, mask, _, length = _HEADER.unpack_from(content)
                name = content[_HEADER.size : _HEADER.size + length].rstrip(b"\0")
                content = content[_HEADER.size + length :]
                assert watch >= 0, "too much happened at once to be seen"
                path = self._folders[watch] / os.fsdecode(name)
                if not name:  # the watched folder itself is gone
                    continue
                if not mask & _IS_FOLDER:
                    self.files.add(path)
                elif path.is_dir():
                    self._add(path)
                    self.files |= {entry for entry in path.rglob("*") if entry.is_file()}

    def close(self):
        os.close(self._handle)
