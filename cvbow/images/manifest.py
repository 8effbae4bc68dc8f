"""Listing the images that a CSV file names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvbow.errors import DatasetError
from cvbow.files import read_text
from cvbow.images.imagelist import SPLITS, ImageList, natural_key, split_name

_EXPECTED = "expected the columns path,label[,split]"
#: Between the labels of an image that has several.
BETWEEN = "|"


def read_manifest(source: Path) -> ImageList:
    """Read a CSV with the columns ``path``, ``label`` and perhaps ``split``, in any order, among any others.

    In place of ``label`` it may have ``labels``, with ``|`` between those of an image; it may be empty.

    Rows keep the order of the file, and a path may occur more than once. Whether the files exist is not looked at.

    Parameters
    ----------
    source : Path
        UTF-8, with or without a byte-order mark. Relative paths are relative to its folder.

    Raises
    ------
    DatasetError
        When a column is missing, a path or label is empty, or a split has no known name; the line is given.
    """
    paths: list[Path] = []
    labels: list[Any] = []
    splits: list[str | None] = []
    folder = source.parent
    rows = csv_rows(source)
    _, header = next(rows, (0, None))
    if header is None:
        raise DatasetError(source, f"the file is empty; {_EXPECTED}")
    path_at, label_at, split_at, several = _columns(source, header)

    for line, row in rows:
        cells = [row[at] if at is not None and at < len(row) else "" for at in (path_at, label_at, split_at)]
        for name, cell in zip(("path", "label"), cells, strict=False):
            if not cell and not (name == "label" and several):
                raise DatasetError(source, f"line {line}: the {name} is empty")
        split = split_name(cells[2])
        if cells[2] and split is None:
            choices = ", ".join(name for names in SPLITS.values() for name in names)
            raise DatasetError(source, f"line {line}: the split must be one of {choices} or empty, got {cells[2]!r}")
        paths.append(folder / cells[0])
        labels.append(_several(source, line, cells[1]) if several else cells[1])
        splits.append(split)
    if not paths:
        raise DatasetError(source, "no images are listed below the header")
    return ImageList(tuple(paths), tuple(labels), tuple(splits))


def csv_rows(source: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of the rows of a CSV that hold anything; DatasetError where it cannot be read."""
    try:
        reader = csv.reader(io.StringIO(read_text(source, encoding="utf-8-sig"), newline=""), strict=True)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise DatasetError(source, "the file is not UTF-8 text") from error
    except csv.Error as error:
        raise DatasetError(source, f"line {reader.line_num}: {error}") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DatasetError(source, f"the file cannot be read ({(error.strerror or 'error').lower()})") from error


def _several(source: Path, line: int, cell: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once, in natural order."""
    labels = [label.strip() for label in cell.split(BETWEEN)] if cell else []
    if not all(labels):
        raise DatasetError(source, f"line {line}: one of the labels in {cell!r} is empty")
    return tuple(sorted(set(labels), key=natural_key))


def _columns(source: Path, header: list[str]) -> tuple[int, int, int | None, bool]:
    """Return where the path, the label and the split are, and whether there are several labels an image."""
    names = [name.casefold() for name in header]
    label = "labels" if "label" not in names and "labels" in names else "label"
    missing = [name for name in ("path", label) if name not in names]
    if missing:
        found = ",".join(header)
        raise DatasetError(source, f"no column {' or '.join(missing)}; {_EXPECTED}, found {found!r}")
    for name in ("path", label, "split"):
        if names.count(name) > 1:
            raise DatasetError(source, f"the column {name} occurs {names.count(name)} times")
    split_at = names.index("split") if "split" in names else None
    return names.index("path"), names.index(label), split_at, label == "labels"
