"""The figures of a study in sections: over rounds, per client, paired, and over time, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tff_affect.report import figure_data, plots
from tff_affect.report.privacy import PRIVATE_METHODS
from tff_affect.report.section import Figure, Section, slug
from tff_affect.report.study import FEDERATED_METHODS, CohortFacts, Study, traces

_CAPTIONS = {
    "rounds": (
        "Over rounds",
        "Each thin line is one development client, the thick line their mean, up to the last round that every run "
        "reached. Pooled CCC also rewards knowing which client is which; the mean over clients does not.",
    ),
    "clients": (
        "Per test client",
        "Test clients sorted by their {leading} CCC, with the other methods beside it. {lines}",
    ),
    "slopes": (
        "{Leading} against local-only",
        "Each line is one test client. The Wilcoxon signed-rank test pairs the two methods by client; it is not "
        "corrected for testing several dimensions.",
    ),
    "traces": (
        "Over time",
        "The best, median and worst test client of the first seed, by {leading} CCC. Long recordings are drawn as "
        "means of neighbouring frames; gaps are missing frames.",
    ),
}
_SEVERAL_SEEDS = (
    "The line through a client's mark goes from its lowest to its highest seed: how far training alone moves it, not "
    "how sure its CCC is. The band is the 95 % interval of the mean over clients."
)
_ONE_SEED = (
    "One seed was run, so that no client has an interval of its own. The band is the 95 % interval of the mean over "
    "clients."
)


def figure_sections(study: Study, facts: CohortFacts) -> Iterator[Section]:
    """One section for each kind of figure of which there is at least one."""
    drawn: dict[str, list[Figure]] = {plot: [] for plot in _CAPTIONS}
    for dimension in study.dimensions:
        for plot, name, svg, frame in _drawn(study, facts, dimension):
            if svg is not None:
                drawn[plot].append(Figure(name, svg, frame))
    for plot, (heading, caption) in _CAPTIONS.items():
        if drawn[plot]:
            yield Section(
                plot, _worded(heading, study), figures=tuple(drawn[plot]), caption=_caption(plot, caption, study)
            )


def _drawn(study: Study, facts: CohortFacts, dimension: str) -> Iterator[tuple[str, str, str | None, pd.DataFrame]]:
    synthetic = facts.synthetic
    for method in FEDERATED_METHODS:
        name = slug("rounds", dimension, *((method,) if method != FEDERATED_METHODS[0] else ()))
        image = plots.rounds_plot(study.per_client, study.rounds, dimension, synthetic, method)
        yield "rounds", name, image, figure_data.over_rounds(study.per_client, study.rounds, dimension, method)
    image, frame = plots.clients_plot(study.results, dimension, synthetic), figure_data.of_test_clients
    yield "clients", slug("clients", dimension), image, frame(study.results, dimension)
    image = plots.slopes_plot(study.results, dimension, synthetic)
    yield "slopes", slug("slopes", dimension), image, figure_data.paired_with_local(study.results, dimension)
    shown = traces(study, dimension)
    image = plots.traces_plot(shown, dimension, facts.time_unit, synthetic)
    yield "traces", slug("traces", dimension), image, figure_data.over_time(shown)


def _caption(plot: str, caption: str, study: Study) -> str:
    """The caption, with the epsilon of each private method that the plot shows."""
    shown = {"rounds": FEDERATED_METHODS, "clients": PRIVATE_METHODS}.get(plot, (study.federated,))
    private = [study.privacy.methods[method] for method in shown if method in study.privacy.methods]
    return " ".join([_worded(caption, study), *(f"{method.method}: {method.headline}." for method in private)])


def _worded(words: str, study: Study) -> str:
    leading, several = study.federated, study.results["seed"].nunique() > 1
    lines = _SEVERAL_SEEDS if several else _ONE_SEED
    return words.format(leading=leading, Leading=leading[:1].upper() + leading[1:], lines=lines)
