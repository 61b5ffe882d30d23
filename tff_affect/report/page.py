"""Pages that stand alone: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tff_affect import __version__


def render(template: str, **context: Any) -> str:
    """A template of this package's with its values; ``version`` is the package's."""
    environment = Environment(
        loader=PackageLoader("tff_affect.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **context)


def inline(image: str) -> Markup:
    """An SVG as a part of a page: HTML implies its namespaces, and without them the page names no address at all."""
    return Markup(re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", image))
