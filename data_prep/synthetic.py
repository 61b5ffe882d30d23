r"""The embedded SYNTHETIC cohort: RECOLA's shape without its licence, from a model whose attainable CCC is known.

Time is in frames of ``1 / frame_rate`` seconds; frame k has the time ``(k + 1) / frame_rate``, as RECOLA's annotations
have once their first row is dropped.

Latents. ``u_1``, ``u_2`` are independent stationary Ornstein-Uhlenbeck processes of unit variance, sampled:
``u_k(t) = a_k u_k(t-1) + sqrt(1 - a_k^2) e(t)``, ``a_k = exp(-1 / (T_k frame_rate))``. Arousal is ``z_1 = u_1``,
valence ``z_2 = c u_1 + sqrt(1 - c^2) u_2``.

Face. Action unit j of subject s has the intensity

    x_sj(t) = clip(b_sj + A_sj . z(t - l_s) + q_s n_sj(t), 0, 5),    A_sj = amplitude g_s e_sj (W_j + D_sj)

with baseline b, gain g, expressiveness e (its mean differs mildly between the two genders), the common loadings W, the
subject's own style D ~ N(0, idiosyncrasy^2), lag l (0-0.8 s) and n an OU process of unit variance. Values are rounded
to five decimals: at most six significant digits, so that float32 survives a trip through text.

Raters. Rater r gives dimension d

    r_d(t) = round(clip(v_rd + s_d (h_r z_d(t - m_r) + w_d o_rd(t)), -1, 1), 2 decimals)

with bias v, gain h, lag m (1-4 s) and slow OU noise o; raters are the same for all subjects. The gold standard is their
plain mean or, if asked for, centred by agreement (``data_prep.labels.gold_standard``).

Faults. Frames without a face come in bursts of geometric length (features NaN, frame not valid); two subjects have a
bad tracker: eight times as many, and triple noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from data_prep.labels.gold_standard import fusion_named
from data_prep.recola_layout import DIMENSIONS
from data_prep.synthetic_model import (
    DROPOUTS,
    FEATURE_NOISE,
    LATENT,
    RATER_NOISE,
    SubjectParameters,
    SyntheticConfig,
    generator,
    rater_panel,
    subject_id,
    subject_parameters,
)
from tff_affect.cohort import MANIFEST, Cohort, CohortManifest, SubjectEntry, SubjectTable, write_cohort
from tff_affect.errors import InputError

__all__ = [
    "SyntheticConfig",
    "SyntheticSubject",
    "generate_subject",
    "synthetic_config_of",
    "synthetic_manifest",
    "synthetic_subjects",
    "write_synthetic_cohort",
]

_BURST_SECONDS = 0.6


@dataclass(frozen=True)
class SyntheticSubject:
    """One generated subject.

    Attributes:
        id: ``P101``, ``P102``, ...
        table: Time, features (0-5), gold standard and valid mask.
        ratings: ``[frames, 2, raters]``: arousal and valence, -1 to 1, two decimals.
        groups: Group attributes.
        parameters: What the subject was generated from.
    """

    id: str
    table: SubjectTable
    ratings: np.ndarray
    groups: Mapping[str, str]
    parameters: SubjectParameters


def _unit_ou(rng: np.random.Generator, frames: int, columns: int, decay: np.ndarray | float) -> np.ndarray:
    """``[frames, columns]`` stationary processes of unit variance; ``decay`` is the correlation of neighbours."""
    shocks = rng.normal(size=(frames, columns))
    decays = np.broadcast_to(decay, (columns,))
    shocks[1:] *= np.sqrt(1 - decays**2)
    return np.stack([lfilter([1.0], [1.0, -a], shocks[:, i]) for i, a in enumerate(decays)], axis=1)


def _latents(config: SyntheticConfig, index: int, history: int) -> np.ndarray:
    """``[history + frames, 2]`` latent arousal and valence."""
    decay = np.exp(-1.0 / (np.array(config.latent_seconds) * config.frame_rate))
    u = _unit_ou(generator(config, index, LATENT), history + config.frames, 2, decay)
    c = config.latent_correlation
    return np.stack([u[:, 0], c * u[:, 0] + np.sqrt(1 - c**2) * u[:, 1]], axis=1)


def _missing(config: SyntheticConfig, index: int, fraction: float) -> np.ndarray:
    """``[frames]`` bool: bursts without a face. The first frame always has one."""
    frames = config.frames
    if fraction <= 0:
        return np.zeros(frames, bool)
    rng = generator(config, index, DROPOUTS)
    burst = max(1.0, _BURST_SECONDS * config.frame_rate)
    gap = max(1.0, burst * (1 - fraction) / fraction)
    lengths = np.stack([rng.geometric(1 / gap, frames), rng.geometric(1 / burst, frames)], axis=1).ravel()
    switches = np.zeros(frames + 1, int)
    starts = np.cumsum(lengths)
    switches[starts[starts < frames]] = 1
    return np.asarray(np.cumsum(switches[:frames]) % 2 == 1)


def _ratings(config: SyntheticConfig, index: int, z: np.ndarray, history: int) -> np.ndarray:
    panel = rater_panel(config)
    rows = np.arange(config.frames)[:, None] + history - panel.lag[None, :]
    scale = np.array(config.rating_scale)[None, :, None]
    decay = float(np.exp(-1.0 / (config.rater_noise_seconds * config.frame_rate)))
    slow = _unit_ou(generator(config, index, RATER_NOISE), config.frames, 2 * config.raters, decay)
    slow = slow.reshape(config.frames, 2, config.raters) * np.array(config.rater_noise)[None, :, None]
    heard = np.moveaxis(z[rows], 2, 1) * panel.gain
    return np.asarray(np.round(np.clip(panel.bias.T + scale * (heard + slow), -1.0, 1.0), 2))


def generate_subject(config: SyntheticConfig, index: int) -> SyntheticSubject:
    """Generates one subject, whatever the others.

    Args:
        config: The cohort's configuration.
        index: Zero-based index of the subject.

    Raises:
        InputError: If the cohort has no such subject.
    """
    parameters = subject_parameters(config, index)
    history = int(max(parameters.lag, rater_panel(config).lag.max()))
    z = _latents(config, index, history)
    ratings = _ratings(config, index, z, history)
    decay = float(np.exp(-1.0 / (config.feature_noise_seconds * config.frame_rate)))
    noise = _unit_ou(generator(config, index, FEATURE_NOISE), config.frames, len(config.action_units), decay)
    start = history - parameters.lag
    clean = parameters.baseline + z[start : start + config.frames] @ parameters.loading.T
    features = np.round(np.clip(clean + parameters.noise * noise, 0.0, 5.0), 5).astype(np.float32)
    missing = _missing(config, index, parameters.missing_fraction)
    features[missing] = np.nan
    fuse = fusion_named(config.fusion, config.frame_rate)
    labels = np.stack([fuse(ratings[:, d]) for d in range(len(DIMENSIONS))], axis=1).astype(np.float32)
    time = np.arange(1, config.frames + 1) / config.frame_rate
    table = SubjectTable(time=time, features=features, labels=labels, valid=~missing)
    return SyntheticSubject(subject_id(index), table, ratings, parameters.groups, parameters)


def synthetic_manifest(config: SyntheticConfig) -> CohortManifest:
    """The manifest of a synthetic cohort; its provenance holds the whole configuration."""
    return CohortManifest(
        name="SYNTHETIC RECOLA-like cohort",
        features=config.action_units,
        feature_scale="0-5",
        frame_rate=config.frame_rate,
        labels=DIMENSIONS,
        synthetic=True,
        provenance={"reader": "data_prep.synthetic", "fusion": config.fusion, "config": config.to_json()},
    )


def synthetic_subjects(config: SyntheticConfig) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    """Yields the subjects one by one, so that a cohort of any size streams to disk."""
    for index in range(config.subjects):
        subject = generate_subject(config, index)
        yield SubjectEntry(subject=subject.id, groups=dict(subject.groups)), subject.table


def write_synthetic_cohort(path: Path, config: SyntheticConfig | None = None, overwrite: bool | None = None) -> Cohort:
    """Writes the synthetic cohort.

    Args:
        path: The cohort's folder.
        config: Defaults to ``SyntheticConfig()``.
        overwrite: Replace an existing cohort; None where nobody is asked.

    Raises:
        InputError: If the folder cannot be made.
    """
    config = config or SyntheticConfig()
    return write_cohort(Path(path), synthetic_manifest(config), synthetic_subjects(config), overwrite)


def synthetic_config_of(cohort: Cohort) -> SyntheticConfig | None:
    """The configuration that made a synthetic cohort; None for a cohort that `write_synthetic_cohort` did not write.

    Raises:
        InputError: If the provenance names this generator, and its configuration is missing or wrong.
    """
    provenance, file = cohort.manifest.provenance, cohort.path / MANIFEST
    if not cohort.manifest.synthetic or provenance.get("reader") != "data_prep.synthetic":
        return None
    content = provenance.get("config")
    if not isinstance(content, Mapping):
        found = "none" if content is None else repr(content)[:40]
        raise InputError(
            f"provenance: expected the configuration under 'config', found {found}; synthesize the cohort anew",
            file=file,
        )
    try:
        return SyntheticConfig.from_json(content)
    except InputError as error:
        raise InputError(f"provenance: {error.reason}", file=file) from error
