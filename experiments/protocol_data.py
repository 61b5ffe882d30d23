"""What a protocol asks of the data beside its configuration: the annotation delay of each split.

The search itself is `data_prep.labels.annotation_delay`; here it is given the subjects of one split that it may see.
"""

from __future__ import annotations

from data_prep.labels.annotation_delay import search_delay
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError
from tff_affect.splits import Split


def delay_of(cohort: Cohort, split: Split) -> float:
    """The annotation delay of one split, in seconds: one for all labels, as training applies it.

    Fitted on the split's training subjects and chosen on its development subjects. The tables of its test subjects are
    not opened, so that what they hold changes nothing.

    Raises:
        InputError: If the cohort has no clock in seconds or no labels, or a recording is too short to search.
    """
    manifest = cohort.manifest
    if manifest.time_unit != "second":
        reason = f"a delay is searched in seconds, and this cohort's time is in {manifest.time_unit}s"
        raise InputError(f"{reason}; set data.target_delay instead", file=cohort.path)
    if not manifest.labels:
        raise InputError("the cohort has no labels; there is no delay to search", file=cohort.path)
    train, development = (
        {subject: cohort.load(subject) for subject in subjects} for subjects in (split.train, split.development)
    )
    return search_delay(train, development, manifest.frame_rate, manifest.labels).joint
