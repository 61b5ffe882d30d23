"""Parameters of the synthetic cohort: configuration, raters, subjects. The equations are in ``data_prep.synthetic``.

Everything random derives from ``(seed, subject, purpose)``, so that any subject can be made alone, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tff_affect.errors import InputError

# 22 hours at 25 frames per second: a recording is generated in memory.
MAX_FRAMES = 2_000_000

# Loadings (arousal, valence) of the 17 OpenFace intensities: signs as each unit is usually read, sizes invented.
LOADINGS: dict[str, tuple[float, float]] = {
    "AU01": (0.6, -0.2),
    "AU02": (0.7, 0.1),
    "AU04": (0.2, -0.8),
    "AU05": (0.8, -0.1),
    "AU06": (0.2, 0.9),
    "AU07": (0.5, -0.3),
    "AU09": (0.2, -0.6),
    "AU10": (0.3, -0.5),
    "AU12": (0.3, 1.0),
    "AU14": (-0.3, 0.2),
    "AU15": (-0.3, -0.7),
    "AU17": (-0.2, -0.6),
    "AU20": (0.6, -0.4),
    "AU23": (0.4, -0.5),
    "AU25": (0.7, 0.4),
    "AU26": (0.8, 0.2),
    "AU45": (-0.5, 0.1),
}
# Units that py-feat reports and OpenFace's intensities lack.
FURTHER_LOADINGS: dict[str, tuple[float, float]] = {
    "AU11": (0.2, -0.3),
    "AU24": (0.2, -0.6),
    "AU28": (0.1, -0.3),
    "AU43": (-0.7, 0.1),
}
_ALL_LOADINGS = LOADINGS | FURTHER_LOADINGS

# Purposes of the random streams; index 0 is the cohort itself, subject i draws from index i + 1.
COHORT, PARAMETERS, LATENT, FEATURE_NOISE, RATER_NOISE, DROPOUTS, TOOL = 1, 2, 3, 4, 5, 6, 7


# The other rules of data_prep.labels.gold_standard would change the covariances that the ceiling rests on.
FUSIONS = ("mean", "ccc_centred")
_PAIRS = ("latent_seconds", "rating_scale", "rater_noise", "rater_lag_seconds")


@dataclass(frozen=True)
class SyntheticConfig:
    """What makes a synthetic cohort; equal configurations make equal bytes.

    Attributes:
        subjects: Number of subjects.
        seconds: Length of each recording.
        frame_rate: Frames per second.
        action_units: Feature names: the 17 OpenFace intensities ``AU01`` ... ``AU45``, and ``AU11``, ``AU24``,
            ``AU28``, ``AU43`` if asked for.
        raters: Number of annotators, 2 to 12.
        latent_seconds: Time constants (seconds) of the two latent processes.
        latent_correlation: How much valence shares with arousal, -0.9 to 0.9.
        amplitude: Standard deviation, in intensity, that an action unit of loading 1 gets from its latent.
        idiosyncrasy: Standard deviation of each subject's own loadings around the common ones.
        feature_noise: Standard deviation of the tracker's noise, in intensity.
        feature_noise_seconds: Its time constant (seconds).
        max_expression_lag: Largest lag (seconds) of the face behind the latent.
        rating_scale: Standard deviation of the rated latent (arousal, valence) on the [-1, 1] scale.
        rater_noise: Standard deviation of each rater's slow noise (arousal, valence), relative to ``rating_scale``.
        rater_noise_seconds: Its time constant (seconds).
        rater_lag_seconds: Range (seconds) of the raters' lags behind the latent; equal ends plant one lag.
        missing_fraction: Fraction of frames in which no face is found.
        bad_trackers: Zero-based indices of subjects with 8 times the missing frames (about 25 %) and triple noise.
        seed: Non-negative seed of everything random.
        fusion: Rule of the gold standard: ``mean`` or ``ccc_centred``.
    """

    subjects: int = 27
    seconds: float = 300.0
    frame_rate: float = 25.0
    action_units: tuple[str, ...] = tuple(LOADINGS)
    raters: int = 6
    latent_seconds: tuple[float, float] = (8.0, 12.0)
    latent_correlation: float = 0.2
    amplitude: float = 0.2
    idiosyncrasy: float = 0.6
    feature_noise: float = 0.3
    feature_noise_seconds: float = 2.0
    max_expression_lag: float = 0.8
    rating_scale: tuple[float, float] = (0.2, 0.15)
    rater_noise: tuple[float, float] = (0.9, 1.2)
    rater_noise_seconds: float = 15.0
    rater_lag_seconds: tuple[float, float] = (1.0, 4.0)
    missing_fraction: float = 0.03
    bad_trackers: tuple[int, ...] = (8, 19)
    seed: int = 2021
    fusion: str = FUSIONS[0]

    def __post_init__(self) -> None:
        for name in ("action_units", *_PAIRS, "bad_trackers"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise InputError(f"synthetic {name}: expected a list, found {value!r}")
            object.__setattr__(self, name, tuple(value))
        self._check_counts()
        self._check_sizes()

    def _check_counts(self) -> None:
        for name, low, high in (("subjects", 1, 1_000_000), ("raters", 2, 12), ("seed", 0, 2**63)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"synthetic {name}: expected a whole number from {low} to {high}, found {value!r}")
        if self.fusion not in FUSIONS:
            raise InputError(f"synthetic fusion: expected one of {', '.join(FUSIONS)}, found {self.fusion!r}")
        unknown = [unit for unit in self.action_units if unit not in tuple(_ALL_LOADINGS)]
        if unknown or not self.action_units or len(set(self.action_units)) < len(self.action_units):
            found = repr(unknown[0]) if unknown else f"{self.action_units!r}"
            raise InputError(
                f"synthetic action_units: expected distinct names among {', '.join(_ALL_LOADINGS)}, found {found}"
            )
        if any(not isinstance(index, int) or index < 0 for index in self.bad_trackers):
            raise InputError(
                f"synthetic bad_trackers: expected zero-based subject indices, found {self.bad_trackers!r}"
            )

    def _check_sizes(self) -> None:
        ranges = {
            "seconds": (0.04, 1e6),
            "frame_rate": (0.1, 1000.0),
            "latent_correlation": (-0.9, 0.9),
            "latent_seconds": (0.01, 1e4),
            "amplitude": (0.0, 1.0),
            "idiosyncrasy": (0.0, 5.0),
            "feature_noise": (1e-3, 2.0),
            "feature_noise_seconds": (0.01, 1e4),
            "max_expression_lag": (0.0, 10.0),
            "rating_scale": (0.01, 1.0),
            "rater_noise": (0.0, 10.0),
            "rater_noise_seconds": (0.01, 1e4),
            "rater_lag_seconds": (0.0, 10.0),
            "missing_fraction": (0.0, 0.5),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            pair = name in _PAIRS
            if len(values) != 1 + pair or not all(_is_number(v) and low <= v <= high for v in values):
                kind = "two numbers" if pair else "a number"
                raise InputError(f"synthetic {name}: expected {kind} from {low:g} to {high:g}, found {value!r}")
        if self.rater_lag_seconds[0] > self.rater_lag_seconds[1]:
            raise InputError(f"synthetic rater_lag_seconds: expected least and most, found {self.rater_lag_seconds!r}")
        if not 2 <= self.frames <= MAX_FRAMES:
            raise InputError(
                f"synthetic seconds: expected 2 to {MAX_FRAMES:,} frames per recording, found {self.frames:,} "
                f"({self.seconds:g} s at {self.frame_rate:g}/s); change the seconds or the frame rate"
            )

    @property
    def frames(self) -> int:
        """Frames of each recording."""
        return round(self.seconds * self.frame_rate)

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types, from which `from_json` makes an equal one.

        The usual fusion is left out: a cohort's hash stays what it was before there was another.
        """
        content = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        if self.fusion == FUSIONS[0]:
            del content["fusion"]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SyntheticConfig:
        """The configuration that `to_json` wrote, as found in a synthetic cohort's provenance.

        Raises:
            InputError: If a key is unknown or a value out of range.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(content) - known)
        if unknown:
            raise InputError(
                f"synthetic configuration: unknown key {unknown[0]!r}; expected some of {', '.join(sorted(known))}"
            )
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in content.items()})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class RaterPanel:
    """The annotators, the same for all subjects.

    Attributes:
        names: ``FM1`` ..., ``FF1`` ...
        bias: ``[raters, 2]`` on the [-1, 1] scale.
        gain: ``[raters]``, around 1.
        lag: ``[raters]`` frames behind the latent.
    """

    names: tuple[str, ...]
    bias: np.ndarray
    gain: np.ndarray
    lag: np.ndarray


@dataclass(frozen=True)
class SubjectParameters:
    """What sets one subject apart.

    Attributes:
        baseline: ``[action units]`` resting intensity.
        loading: ``[action units, 2]`` intensity per unit of latent arousal and valence: gain, expressiveness and style.
        lag: Frames of the face behind the latent.
        noise: Standard deviation of the tracker's noise, in intensity.
        missing_fraction: Expected fraction of frames without a face.
        groups: Group attributes.
    """

    baseline: np.ndarray
    loading: np.ndarray
    lag: int
    noise: float
    missing_fraction: float
    groups: Mapping[str, str]


def generator(config: SyntheticConfig, index: int, purpose: int) -> np.random.Generator:
    """The random stream of a subject (``index`` from 0; -1 for the cohort's own) and purpose."""
    return np.random.default_rng([config.seed, index + 1, purpose])


def subject_id(index: int) -> str:
    """``P101`` for index 0: RECOLA's form, none of its participants' numbers."""
    return f"P{101 + index}"


def rater_panel(config: SyntheticConfig) -> RaterPanel:
    """Draws the cohort's annotators."""
    rng = generator(config, -1, COHORT)
    n = config.raters
    men = (n + 1) // 2
    return RaterPanel(
        names=tuple([f"FM{i + 1}" for i in range(men)] + [f"FF{i + 1}" for i in range(n - men)]),
        bias=rng.normal(0.0, 0.05, (n, 2)),
        gain=rng.uniform(0.8, 1.2, n),
        lag=np.rint(rng.uniform(*config.rater_lag_seconds, n) * config.frame_rate).astype(int),
    )


def subject_parameters(config: SyntheticConfig, index: int) -> SubjectParameters:
    """Draws one subject's parameters.

    Raises:
        InputError: If the cohort has no such subject.
    """
    if not 0 <= index < config.subjects:
        raise InputError(f"expected a subject index from 0 to {config.subjects - 1}, found {index}")
    rng = generator(config, index, PARAMETERS)
    units = len(config.action_units)
    # Alternating, so that every small cohort and most folds hold both groups.
    gender = ("female", "male")[index % 2]
    bad = index in config.bad_trackers
    gain = float(np.exp(rng.normal(0.0, 0.15)))
    expressiveness = np.exp(rng.normal(0.05 if gender == "female" else -0.05, 0.2, units))
    style = np.array([_ALL_LOADINGS[unit] for unit in config.action_units]) + config.idiosyncrasy * rng.normal(
        size=(units, 2)
    )
    return SubjectParameters(
        baseline=rng.uniform(2.0, 2.8, units),
        loading=config.amplitude * gain * expressiveness[:, None] * style,
        lag=round(rng.uniform(0.0, config.max_expression_lag) * config.frame_rate),
        noise=config.feature_noise * (3.0 if bad else 1.0),
        missing_fraction=min(0.5, config.missing_fraction * (8.0 if bad else 1.0)),
        groups={"gender": gender},
    )
