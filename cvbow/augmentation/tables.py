"""Image files that a table names, with labels, targets and weights from its columns."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from cvbow._checks import check_choice, check_flag, check_labels
from cvbow.augmentation.samples import (
    CLASS_MODES,
    FileReader,
    Samples,
    Targets,
    check_classes,
    check_subsets,
    check_weights,
    class_targets,
    divided,
)
from cvbow.errors import ImageError


def table_samples(
    table: Any,
    directory: str | os.PathLike[str] | None,
    read: FileReader,
    *,
    x_col: str,
    y_col: str | list[str],
    weight_col: str | None,
    classes: Sequence[str] | None,
    class_mode: str | None,
    subset: str | None,
    validation_split: float,
    ignore_class_split: bool,
    validate_filenames: bool,
    strict: bool,
) -> Samples:
    """Return the files that a table names; the parameters are those of ``ImageAugmenter.flow_from_dataframe``."""
    if class_mode is not None:
        check_choice("class_mode", class_mode, CLASS_MODES)
    check_flag("validate_filenames", validate_filenames)
    check_flag("ignore_class_split", ignore_class_split)
    names = [_file_name(name, row) for row, name in enumerate(_column(table, "x_col", x_col))]
    paths = [os.path.join(directory or "", name) for name in names]
    rows, skipped = list(range(len(names))), []
    if validate_filenames:
        exists = [os.path.isfile(path) for path in paths]
        skipped = [ImageError(paths[row], "there is no such file") for row in rows if not exists[row]]
        rows = [row for row in rows if exists[row]]
        if skipped and strict:
            raise skipped[0]
    weights = None
    if weight_col is not None:
        weights = check_weights("weight_col", _column(table, "weight_col", weight_col, len(names)), len(names))
    labels: list[list[Any]] = [[]] * len(names)
    wanted: list[Any] = []
    if class_mode not in (None, "input", "raw"):
        labels = _labels(table, y_col, len(names), several=class_mode == "categorical")
        present = {one for row in rows for one in labels[row]}
        wanted = sorted(present) if classes is None else check_classes(classes)
        if classes is not None:
            labels = [[one for one in given if one in wanted] for given in labels]
            rows = [row for row in rows if labels[row]]
    kept, others = divided(np.array(rows, np.intp), subset, validation_split)
    if subset is not None and not ignore_class_split:
        found, rest = ({one for row in part for one in labels[row]} for part in (kept, others))
        check_subsets("y_col", found, rest)
    if class_mode == "raw":
        targets = Targets("raw", np.asarray(_targets(table, y_col, len(names)))[kept])
    else:
        targets = class_targets(class_mode, [labels[row] for row in kept], wanted)
    filepaths = [paths[row] for row in kept]
    return Samples(
        lambda index: read(filepaths[index]),
        kept,
        targets,
        None if weights is None else weights[kept],
        filenames=[names[row] for row in kept],
        filepaths=filepaths,
        class_indices={name: number for number, name in enumerate(wanted)},
        skipped=skipped,
    )


def _column(table: Any, parameter: str, name: str, length: int | None = None) -> list[Any]:
    """Return the values of a column in the order of the rows, whatever index they carry."""
    try:
        column = table[name]
        values = list(column if isinstance(column, list | tuple) else np.asarray(column))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{parameter} must name a column of dataframe, got {name!r}") from error
    if length is not None and len(values) != length:
        raise ValueError(f"{parameter} must have as many values as there are files, {length}, got {len(values)}")
    return values


def _file_name(name: object, row: int) -> str:
    if not isinstance(name, str | os.PathLike):
        raise ValueError(f"x_col must give the name of a file in each row, got {name!r} at position {row}")
    return os.fspath(name)


def _targets(table: Any, y_col: str | list[str], length: int) -> list[Any]:
    """Return the values of a column, or of several side by side."""
    if not isinstance(y_col, list):
        return _column(table, "y_col", y_col, length)
    return list(zip(*(_column(table, "y_col", name, length) for name in y_col), strict=True))


def _labels(table: Any, y_col: str | list[str], length: int, *, several: bool) -> list[list[Any]]:
    """Return the labels in each row: one, or as many as its list has."""
    if isinstance(y_col, list):
        raise ValueError(f"y_col must be one column, several go with class_mode raw, got {y_col!r}")
    labels = []
    for row, given in enumerate(_column(table, "y_col", y_col, length)):
        found = list(given) if several and isinstance(given, list | tuple) else [given]
        if not all(isinstance(one, Hashable) for one in found):
            allowed = "a label, or a list of labels," if several else "one label"
            raise ValueError(f"y_col must give {allowed} in each row, got {given!r} at position {row}")
        labels.append(found)
    check_labels("y_col", [one for found in labels for one in found])
    return labels
