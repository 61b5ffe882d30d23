"""What personalisation gave each client, and who lost by it."""

from __future__ import annotations

import pandas as pd

from tff_affect.evaluation.personalised import client_gains, gains, read_personalised
from tff_affect.report.comparison import p_text
from tff_affect.report.personalised_plot import slopes_plot
from tff_affect.report.section import Column, DataTable, Figure, Section, ends, measure, text
from tff_affect.report.study import Study


def personal_section(study: Study, synthetic: bool) -> Section | None:
    """Mean gain of each way with its interval, and every client before and after; None where nothing was personalised.

    Raises:
        InputError: If the table of personalisation is unreadable.
    """
    found = read_personalised(study.folder)
    if found is None or found.empty:
        return None
    total = gains(found).sort_values("dimension", kind="stable", ignore_index=True)
    total["worst_client"] = total["worst_client"].map(lambda client: study.shown.get(client, client))
    found = found.assign(client=found["client"].map(lambda client: study.shown.get(client, client)))
    table = DataTable(
        "personalisation",
        "Gain in CCC by personalisation, over test clients",
        total,
        (
            text("way", "way"),
            measure("before", "before_mean"),
            measure("after", "after_mean"),
            measure("mean gain", "gain_mean"),
            ends("95 % interval", "gain_low", "gain_high"),
            Column("p", ("p_value",), p_text),
            text("clients", "clients"),
            text("who lose", "losers"),
            text("who loses most", "worst_client"),
            measure("gain of that one", "worst_gain"),
        ),
        group=[str(dimension) for dimension in total["dimension"]],
        note="Intervals over clients; p: Wilcoxon signed-rank, two-sided, not corrected for the number of ways.",
    )
    each = client_gains(found).sort_values(["dimension", "way", "gain", "client"], ignore_index=True)
    clients = DataTable(
        "personalisation-clients",
        "Each test client, averaged over seeds; who loses most stands first",
        each,
        (text("client", "client"), measure("before", "before"), measure("after", "after"), measure("gain", "gain")),
        group=[f"{row['dimension']}, {row['way']}" for row in each[["dimension", "way"]].to_dict("records")],
        folded=True,
    )
    words = (
        "Each test client adapts a model with the first part of its own recording, labels included, and is scored on "
        "the rest, before and after on the same frames. A mean gain can hide clients who lose: they are counted, and "
        "stand first below."
    )
    return Section(
        "personalisation", "Personalisation", (words,), (), (table, clients), _figures(found, each, synthetic),
        "A line for each test client, from before (left) to after (right).",
    )  # fmt: skip


def _figures(found: pd.DataFrame, each: pd.DataFrame, synthetic: bool) -> tuple[Figure, ...]:
    # Lines in the order of the table would be lines in the order of the ids.
    image = slopes_plot(found.sort_values("client", kind="stable"), {"synthetic": synthetic})
    return () if image is None else (Figure("personalised", image, each),)
