"""What a protocol fixes, so that numbers made under it can stand in one table, and what it leaves to choose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_prep.labels.gold_standard import FUSIONS
from experiments.settings import packaged_config
from tff_affect.cohort import MANIFEST, Cohort
from tff_affect.config import StudyConfig
from tff_affect.errors import InputError

_AS_CENTRED = "as distributed, CCC-centred"
# What readers write into a manifest's provenance, and the rule that it means.
_RULES = {name: name for name in FUSIONS} | {_AS_CENTRED: "ccc_centred"}


@dataclass(frozen=True)
class Protocol:
    """One way of measuring.

    Attributes:
        name: On the command line and in every table.
        title: What it is, for captions.
        settings: YAML file in ``experiments/configs``.
        window_seconds: Length of a window and its hop; None for those of the settings.
        fusion: Rule of the gold standard that it wants: a name in ``data_prep.labels.gold_standard.FUSIONS``; None
            where labels are not fused from raters.
        fixed: Dotted settings that cannot be overridden: with others, the numbers would be those of another protocol.
        searches_delay: Whether each split's annotation delay is searched on its training and development subjects.
        remark: What a reader of its numbers must know besides.
    """

    name: str
    title: str
    settings: str
    window_seconds: float | None
    fusion: str | None
    fixed: tuple[str, ...]
    searches_delay: bool
    remark: str

    def configure(self, cohort: Cohort, variant: str, overrides: Sequence[str] = ()) -> StudyConfig:
        """The study of one variant on a cohort.

        Args:
            cohort: The cohort; its time must be in seconds.
            variant: Name of the architecture.
            overrides: Dotted settings that the protocol leaves to choose.

        Raises:
            InputError: For a setting that the protocol fixes, a wrong value, or a cohort without a clock in seconds.
        """
        for override in overrides:
            self._require_free(override.split("=")[0])
        config = packaged_config(self.settings, cohort.path, [*overrides, f"model.name={variant}"])
        if config.privacy.enabled:
            raise InputError(
                "privacy.noise_multiplier: the table of a protocol has no place for an epsilon; leave it out, or use "
                "'tff-affect train' or 'tff-affect privacy sweep'"
            )
        if self.window_seconds is None:
            return config
        frames = self._window(cohort, self.window_seconds)
        return replace(config, data=replace(config.data, window=frames, hop=frames))

    def _require_free(self, named: str) -> None:
        # data[target] is another way to say data.target.
        setting = ".".join(re.findall(r"[^\s.\[\]]+", named))
        for fixed in self.fixed:
            if fixed == setting or fixed.startswith(f"{setting}."):
                raise InputError(
                    f"{setting}: protocol {self.name} fixes {fixed}; leave it out, or use 'tff-affect train', "
                    "whose numbers stand in no table of this protocol"
                )

    def _window(self, cohort: Cohort, seconds: float) -> int:
        manifest = cohort.manifest
        if manifest.time_unit != "second":
            raise InputError(
                f"protocol {self.name} cuts windows of {seconds:g} s, and this cohort's time is in "
                f"{manifest.time_unit}s; use 'tff-affect train' for it",
                file=cohort.path,
            )
        return max(1, round(seconds * manifest.frame_rate))

    def gold_standard_note(self, cohort: Cohort) -> str:
        """Empty if the cohort has the gold standard that the protocol wants; a warning if that is not known for sure.

        Raises:
            InputError: If the cohort's provenance names another rule.
        """
        if self.fusion is None:
            return ""
        found = cohort.manifest.provenance.get("fusion")
        rule = _RULES.get(str(found)) or _RULES.get(str(found).split(",")[0])
        if rule is not None and rule != self.fusion:
            raise InputError(
                f"protocol {self.name} wants the gold standard {self.fusion!r}, and this cohort's is {found!r}; "
                f"convert the source with --fusion {self.fusion}, from its individual ratings",
                file=cohort.path / MANIFEST,
            )
        if rule is None:
            said = "does not say how it was made" if found is None else f"says {found!r}"
            return f"The protocol wants the gold standard {self.fusion!r}; the cohort {said}."
        further = "" if found in _RULES else str(found).split(",", 1)[1].strip()
        return f"The gold standard was smoothed ({further}), which the protocol does not ask for." if further else ""
