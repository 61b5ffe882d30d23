"""An HTML page taken apart."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "use"}


class Page(HTMLParser):
    """Collects tags and attributes in their order; `open` is empty where all that was opened is closed again."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


@dataclass
class ShownTable:
    """A table of a page.

    Attributes:
        csv: The file that it names.
        sources: Columns of that file that each column shows.
        rows: Texts of the cells, without heads of groups.
        heads: The head above each row, empty where there is none.
    """

    csv: str
    sources: list[list[str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


class Tables(HTMLParser):
    """The tables of a page that name a CSV file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[ShownTable] = []
        self._inside = self._cell = False
        self._head, self._is_head = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and given.get("data-csv"):
            self._inside, self._head = True, ""
            self.found.append(ShownTable(str(given["data-csv"])))
        if not self._inside:
            return
        table = self.found[-1]
        if tag == "th" and "data-sources" in given:
            table.sources.append(str(given["data-sources"]).split("|"))
        elif tag == "th" and given.get("scope") == "rowgroup":
            self._is_head, self._head = True, ""
        elif tag == "th" and given.get("scope") == "row":
            table.rows.append([""])
            table.heads.append(self._head)
            self._cell = True
        elif tag == "td":
            table.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._inside = False
        if tag in ("td", "th"):
            self._cell = self._is_head = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.found[-1].rows[-1][-1] += data
        elif self._is_head:
            self._head += data


def section(text: str, heading: str) -> str:
    """One section of a page, from below its heading on, its spaces folded; empty where there is none."""
    found = re.search(rf'<h2 id="[\w-]+">{re.escape(heading)}</h2>(.*?)</section>', text, flags=re.DOTALL)
    return " ".join(found[1].split()) if found else ""
