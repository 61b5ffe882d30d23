"""CCC against epsilon: the private methods of one study or of several, beside training without privacy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.evaluation.per_client import summarise
from tff_affect.report.section import Column, DataTable, Figure, text
from tff_affect.report.study import Study
from tff_affect.report.svg import BLUE, GREEN, MUTED, ORANGE, canvas, to_svg
from tff_affect.report.tables import epsilon_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = {PRIVATE_FEDERATED: (BLUE, "o"), PRIVATE_CENTRALISED: (ORANGE, "v")}
_WITHOUT = {"federated": (BLUE, "--"), "centralised": (GREEN, ":")}


def curve_data(studies: Sequence[tuple[str, Study]]) -> pd.DataFrame:
    """Points of the curve: one for each study, private method and dimension, and those without privacy.

    Args:
        studies: Name and study; names are shown.

    Returns:
        Columns ``study, method, dimension, epsilon`` (infinite without noise, NaN without privacy or where it is not
        known), ``delta, unit, ccc_mean, ccc_low, ccc_high``; empty where no method has a known epsilon.
    """
    rows = []
    for name, study in studies:
        measured = summarise(study.results[study.results["kind"] == "measured"], study.dimensions)
        for row in measured.to_dict("records"):
            private = study.privacy.methods.get(row["method"])
            if private is not None and private.epsilon is None:
                continue
            if private is None and row["method"] not in _WITHOUT:
                continue
            stated = {"epsilon": math.nan, "delta": math.nan, "unit": ""}
            if private is not None and private.epsilon is not None:
                worst = private.guarantees[0]
                stated = {"epsilon": worst.epsilon, "delta": worst.delta, "unit": worst.unit}
            ccc = {key: row[key] for key in ("ccc_mean", "ccc_low", "ccc_high")}
            rows.append({"study": name, "method": row["method"], "dimension": row["dimension"], **stated, **ccc})
    frame = pd.DataFrame(rows)
    return frame if len(frame) and frame["epsilon"].notna().any() else pd.DataFrame()


def curve_figures(data: pd.DataFrame, synthetic: bool) -> tuple[Figure, ...]:
    """A figure for each dimension; none without data."""
    if data.empty:
        return ()
    return tuple(
        Figure(f"privacy-utility-{dimension}", _curve(str(dimension), part, synthetic), part)
        for dimension, part in data.groupby("dimension", sort=False)
    )


def _curve(dimension: str, data: pd.DataFrame, synthetic: bool) -> str:
    private = data[data["epsilon"].notna()]
    finite = private["epsilon"][np.isfinite(private["epsilon"]) & (private["epsilon"] > 0)]
    edge = float(finite.max()) * 4 if len(finite) else 1.0
    name = f"privacy-utility-{dimension}"
    with canvas(name, 3.4) as (figure, (axes,)):
        for method, (colour, style) in _WITHOUT.items():
            found = data[(data["method"] == method) & data["epsilon"].isna()]
            for place, ccc in enumerate(found["ccc_mean"]):
                label = f"{method}, without privacy" if place == 0 else "_more"
                axes.axhline(ccc, color=colour, linestyle=style, linewidth=1.4, label=label)
        for method, (colour, marker) in _DRAWN.items():
            part = private[(private["method"] == method) & (private["epsilon"] > 0)].sort_values("epsilon")
            if part.empty:
                continue
            places = part["epsilon"].where(np.isfinite(part["epsilon"]), edge)
            spread = np.abs(part[["ccc_low", "ccc_high"]].sub(part["ccc_mean"], axis=0).to_numpy(np.float64)).T
            axes.errorbar(
                places, part["ccc_mean"], yerr=np.nan_to_num(spread), fmt=marker, color=colour, capsize=3, label=method
            )
        axes.set_xscale("log")
        _label_epsilons(axes, sorted({float(e) for e in finite}), edge if np.isinf(private["epsilon"]).any() else None)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set(xlabel="epsilon", ylabel="CCC per client")
        figure.legend(loc="outside lower center", ncols=2)
        spoken = "; ".join(
            f"{row['method']} at epsilon {epsilon_text(row['epsilon'])}: CCC {row['ccc_mean']:.3f}"
            for row in private.to_dict("records")
        )
        return to_svg(figure, name, f"{dimension.capitalize()}: CCC against epsilon", f"{spoken}.", synthetic)


def _label_epsilons(axes: Axes, finite: Sequence[float], edge: float | None) -> None:
    """The epsilons themselves stand on the axis, as far as they keep apart."""
    ticks: list[float] = []
    for epsilon in finite:
        if not ticks or epsilon > 1.25 * ticks[-1]:
            ticks.append(epsilon)
    labels = [f"{tick:.3g}" for tick in ticks]
    low, high = (ticks[0], ticks[-1]) if ticks else (edge or 1.0, edge or 1.0)
    axes.set_xticks([*ticks, edge] if edge is not None else ticks, [*labels, "inf"] if edge is not None else labels)
    axes.minorticks_off()
    axes.set_xlim(low / 2, (edge if edge is not None else high) * 2)


def ledger_table(studies: Sequence[tuple[str, Study]]) -> DataTable | None:
    """The guarantee of every run of every private method; None where nothing is private."""
    rows = [
        {
            "study": name, "method": method.method, "epsilon": guarantee.epsilon, "delta": guarantee.delta,
            "unit": guarantee.unit, "noise_multiplier": guarantee.noise_multiplier,
            "clipping_norm": guarantee.clipping_norm, "rounds": guarantee.rounds, "sampling": guarantee.sampling,
            "adjacency": guarantee.adjacency, "accountant": guarantee.accountant,
        }
        for name, study in studies
        for method in study.privacy.methods.values()
        for guarantee in method.guarantees
    ]  # fmt: skip
    if not rows:
        return None
    return DataTable(
        "epsilon-ledger",
        "Ledger: what each run guarantees, the weakest first",
        pd.DataFrame(rows),
        (
            text("method", "method"),
            Column("epsilon", ("epsilon",), epsilon_text),
            Column("delta", ("delta",), _digits),
            text("for one", "unit"),
            Column("noise multiplier", ("noise_multiplier",), _digits),
            Column("clipping norm", ("clipping_norm",), _digits),
            text("rounds", "rounds"),
            text("sampling", "sampling"),
        ),
        group=[str(row["study"]) for row in rows] if len(studies) > 1 else None,
    )


def _digits(value: float) -> str:
    return f"{value:.4g}"
