"""A page of sentences, figures and tables for one study; no script, nothing from elsewhere, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tff_affect.report.data_text import DataText
from tff_affect.report.page import inline, render
from tff_affect.report.svg import BLUE
from tff_affect.report.tables import SYNTHETIC
from tff_affect.report.tradeoff import Sheet


@dataclass(frozen=True)
class PageFigure:
    """A figure of a page.

    Attributes:
        image: Its element.
        caption: Below it.
    """

    image: Markup
    caption: str

    @classmethod
    def drawn(cls, svg: str, caption: str) -> PageFigure:
        """An SVG, which takes the page's blue."""
        return cls(inline(svg.replace(BLUE.lower(), "var(--blue)")), caption)

    @classmethod
    def picture(cls, png: bytes, alternative: str, caption: str, synthetic: bool) -> PageFigure:
        """A PNG inside the page, with words for who cannot see it."""
        said = f"{SYNTHETIC} data. {alternative}" if synthetic else alternative
        data = base64.b64encode(png).decode("ascii")
        return cls(Markup('<img alt="{}" src="data:image/png;base64,{}">').format(said, data), caption)


@dataclass(frozen=True)
class SheetsPage:
    """What a page says.

    Attributes:
        subject: Of the study, in the title.
        text: What the data are.
        banner: Where they are SYNTHETIC, what that means.
        sentences: In short.
        figures: At a glance.
        sheets: Tables.
        caption: Of these.
        limits: What is not shown.
    """

    subject: str
    text: DataText
    banner: str
    sentences: Sequence[str]
    figures: Sequence[PageFigure]
    sheets: Sequence[Sheet]
    caption: str
    limits: Sequence[str]

    def html(self) -> str:
        """The page as one document."""
        return render("sheets.html.jinja", page=self, name=self.text.name, synthetic=self.text.synthetic)
