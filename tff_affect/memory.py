"""How much memory there is left."""

from __future__ import annotations

from pathlib import Path

LEAST_SHARE = 10**9
"""Bytes that a worker may take in any case."""


def available_memory() -> int | None:
    """Bytes that a program may still take: the system's, or what the container leaves of its limit if that is less.

    None where the system does not tell.
    """
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        cached = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        # Files in the page cache count as used, and make room when it is asked for.
        return free if limit == "max" else min(free, int(limit) - int(used) + int(cached.get("inactive_file", 0)))
    except (OSError, ValueError):
        return free


def share_of_memory(share: float) -> int:
    """Bytes of what is left, at least 1 GB; 0 where the system does not tell."""
    free = available_memory()
    return 0 if free is None else max(int(share * free), LEAST_SHARE)
