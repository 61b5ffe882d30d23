"""Which columns of a generic table mean what: the map that a user writes as YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from data_prep.files.delimited import SEPARATORS
from tff_affect.cohort import FEATURE_SCALES, TIME_UNITS
from tff_affect.errors import InputError

PACKAGED = Path(__file__).parent / "column_maps"


@dataclass(frozen=True)
class ColumnMap:
    r"""How a table becomes a cohort. Only the columns named here come through.

    Attributes:
        subject: Column of the subject's identifier.
        features: Feature columns: a list of names, or one regular expression that a whole name matches (``AU\d\d``).
        labels: Label name -> column.
        order: Time column (in ``time_unit``), or None: rows follow each other as in the file.
        values: Label name -> text -> number, for labels written as words.
        groups: Group attribute -> column; constant within a subject.
        feature_scale: Scale of the features, a key of ``tff_affect.cohort.FEATURE_SCALES``.
        frame_rate: Rows per time unit.
        time_unit: ``second`` or ``step``.
        separator: Tab, comma or semicolon; None: sniffed.
        shuffle_steps: Seed that permutes each subject's steps, so that position carries no information; None: as in
            the file.
        name: Name of the cohort.
        synthetic: Whether the numbers were generated.
    """

    subject: str
    features: tuple[str, ...] | str
    labels: Mapping[str, str]
    order: str | None = None
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    feature_scale: str = "0-5"
    frame_rate: float = 1.0
    time_unit: str = "step"
    separator: str | None = None
    shuffle_steps: int | None = None
    name: str = "action-unit table"
    synthetic: bool = False

    def __post_init__(self) -> None:
        self._check_columns()
        _one_of("feature_scale", self.feature_scale, tuple(FEATURE_SCALES))
        _one_of("time_unit", self.time_unit, TIME_UNITS)
        if self.separator is not None:
            _one_of("separator", self.separator, SEPARATORS)
        if not 0 < self.frame_rate <= 1000:
            raise InputError(f"column map: expected a frame_rate above 0 and up to 1000, found {self.frame_rate}")
        if self.shuffle_steps is not None and (self.shuffle_steps < 0 or self.time_unit != "step"):
            raise InputError("column map: shuffle_steps takes a non-negative seed, and only where time_unit is 'step'")

    def _check_columns(self) -> None:
        if not self.features:
            raise InputError("column map: expected at least one feature column, found none")
        if not self.labels:
            raise InputError("column map: expected at least one label, found none")
        unknown = sorted(set(self.values) - set(self.labels))
        if unknown:
            raise InputError(f"column map: values are given for {unknown[0]!r}, which is no label")
        if isinstance(self.features, str):
            try:
                re.compile(self.features)
            except re.error as error:
                raise InputError(f"column map: features {self.features!r} is no regular expression: {error}") from error
        else:
            self.check_roles(self.features)

    def check_roles(self, features: Sequence[str]) -> None:
        """Raises `InputError` if a column plays two roles: a label among the features would leak the answer."""
        roles: list[tuple[str, str]] = [("subject", self.subject)]
        roles += [("features", name) for name in features]
        roles += [("labels", column) for column in self.labels.values()]
        roles += [("order", self.order)] if self.order else []
        seen: dict[str, str] = {}
        for role, column in roles:
            if column in seen:
                raise InputError(
                    f"column map: column {column!r} is used for {seen[column]} and for {role}; name it once"
                )
            seen[column] = role

    def select_features(self, columns: Sequence[str], file: Path) -> tuple[str, ...]:
        """The feature columns among ``columns``, in the order of the list, or of the file for a pattern.

        Raises:
            InputError: If a named column is missing, a pattern matches nothing, or a column plays two roles.
        """
        if isinstance(self.features, str):
            pattern = re.compile(self.features)
            chosen = tuple(name for name in columns if pattern.fullmatch(name))
            if not chosen:
                raise InputError(f"no column matches the features {self.features!r}", file=file, line=1)
        else:
            chosen = self.features
        self.check_roles(chosen)
        return chosen

    def to_json(self) -> dict[str, Any]:
        """The map as JSON types."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"column map: expected a {name} among {', '.join(map(repr, allowed))}, found {value!r}")


def column_map_from_mapping(content: Mapping[str, Any], file: object | None = None) -> ColumnMap:
    """A map from plain YAML values.

    Raises:
        InputError: If a key is unknown or missing, or a value has the wrong type or is out of range.
    """
    known = [item.name for item in fields(ColumnMap)]
    unknown = [key for key in content if key not in known]
    if unknown:
        raise InputError(f"column map: unknown key {unknown[0]!r}; expected some of {', '.join(known)}", file=file)
    missing = [key for key in known[:3] if key not in content]
    if missing:
        raise InputError(f"column map: the key {missing[0]!r} is missing", file=file)
    try:
        return ColumnMap(**{key: _typed(key, value) for key, value in content.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"column map: {error}", file=file) from error
    except InputError as error:
        raise InputError(error.reason, file=file) from error


def _typed(key: str, value: Any) -> Any:
    if key == "features" and not isinstance(value, str):
        return tuple(_word(key, name) for name in value)
    if key in ("labels", "groups"):
        return {_word(key, k): _word(key, v) for k, v in dict(value or {}).items()}
    if key == "values":
        words = {_word(key, k): dict(v) for k, v in dict(value or {}).items()}
        return {label: {_word(key, t): _number(key, n) for t, n in found.items()} for label, found in words.items()}
    if key == "frame_rate":
        return _number(key, value)
    if key == "shuffle_steps":
        if value is not None and type(value) is not int:
            raise InputError(f"column map: shuffle_steps: expected a whole number or null, found {value!r}")
        return value
    if key == "synthetic":
        if type(value) is not bool:
            raise InputError(f"column map: synthetic: expected true or false, found {value!r}")
        return value
    return None if value is None and key in ("order", "separator") else _word(key, value)


def _word(key: str, value: Any) -> str:
    # YAML reads a bare no, off or n as false; its text would be "False", which stands in no table.
    if isinstance(value, bool) or value is None:
        reason = f"expected a word, found the YAML value {value!r}; put the word in quotes, such as 'no' or 'yes'"
        raise InputError(f"column map: {key}: {reason}")
    return str(value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool):
        raise InputError(f"column map: {key}: expected a number, found {value!r}")
    return float(value)


def packaged_maps() -> tuple[str, ...]:
    """Names of the maps that come with the package."""
    return tuple(sorted(file.stem for file in PACKAGED.glob("*.yaml")))


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name longer than any file's, a folder that may not be looked into
        return False


def load_column_map(name_or_file: str | Path) -> ColumnMap:
    """Reads a column map from a YAML file, or one of `packaged_maps` by name.

    Raises:
        InputError: If there is no such map, it is not YAML, or it is wrong.
    """
    file = Path(name_or_file)
    if not _is_file(file) and str(name_or_file) in packaged_maps():
        file = PACKAGED / f"{name_or_file}.yaml"
    if not _is_file(file):
        raise InputError(f"no such column map; expected a YAML file or one of {', '.join(packaged_maps())}", file=file)
    from omegaconf import OmegaConf

    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except Exception as error:  # whatever the YAML reader raises, the file is what is wrong
        raise InputError(f"not a readable YAML file: {str(error).splitlines()[0]}", file=file) from error
    if not isinstance(content, dict):
        raise InputError("expected a YAML mapping of column roles", file=file)
    return column_map_from_mapping({str(key): value for key, value in content.items()}, file)
