"""The data that a study's numbers are of, and SYNTHETIC before whatever is said of data that are made up."""

from __future__ import annotations

from dataclasses import dataclass

from tff_affect.report.tables import SYNTHETIC, counted


@dataclass(frozen=True)
class DataText:
    """What is said with the numbers.

    Attributes:
        name: Of the data.
        synthetic: Whether they are made up; every table and figure then says SYNTHETIC.
        remarks: Further sentences, such as what was dropped from a folder.
    """

    name: str
    synthetic: bool
    remarks: tuple[str, ...] = ()

    def heading(self, said: str) -> str:
        """A title with the data's name, SYNTHETIC first where they are made up."""
        head = f"{SYNTHETIC} data - " if self.synthetic and SYNTHETIC not in self.name else ""
        return f"{head}{said}, {self.name}"

    def sentence(self, said: str) -> str:
        """What is said, SYNTHETIC first where the data are made up."""
        return f"{SYNTHETIC} data: {said}" if self.synthetic else said

    @property
    def plain_name(self) -> str:
        """For where SYNTHETIC stands already."""
        return self.name.removeprefix(SYNTHETIC).strip()


def of_folder(dropped: int) -> tuple[str, ...]:
    """What is said of a folder of which so many files were dropped; nothing of none."""
    return (f"Of the folder {counted(dropped, 'file')} could not be used.",) if dropped else ()
