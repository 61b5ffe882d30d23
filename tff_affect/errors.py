"""The few named exceptions of the package.

Every error that a user can cause is one of these. The command line prints them as one message, without a
traceback, and exits with their code: 2 for bad input, 1 for work that ran and failed.
"""

from __future__ import annotations


class AffectError(Exception):
    """Base of the package's own errors. ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(AffectError):
    """Something the user supplied is wrong: a file, a folder, a cohort, a configuration value.

    The message says what was expected, what was found and what to do about it; the keyword arguments say where.

    Attributes:
        reason: The message without its place.
        file: The file at fault, as the user named it.
        line: The one-based line in it.
        subject: The subject at fault.
    """

    exit_code = 2

    def __init__(
        self, reason: str, *, file: object | None = None, line: int | None = None, subject: str | None = None
    ) -> None:
        self.reason = reason
        self.file = None if file is None else str(file)
        self.line = line
        self.subject = subject
        place = [] if self.file is None else [self.file + (f", line {line}" if line is not None else "")]
        if subject is not None:
            place.append(f"subject {subject}")
        super().__init__(f"{', '.join(place)}: {reason}" if place else reason)


class RunError(AffectError):
    """Work that was well specified could not be finished."""


class DivergedError(RunError):
    """Training left the finite numbers; with a smaller learning rate it may not."""
