"""Objects in a CSV: image,class,xmin,ymin,xmax,ymax, and perhaps score and ignored."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from cvbow.annotations._marks import SIDES, Gathered, rows_of, to_number
from cvbow.annotations.objects import ObjectList
from cvbow.errors import DatasetError
from cvbow.images.manifest import csv_rows

_COLUMNS = ("image", "class", *SIDES)
_OPTIONAL = ("score", "ignored")
_EXPECTED = f"expected the columns {','.join(_COLUMNS)}[,score]"


def is_boxes(source: Path) -> bool:
    """Tell whether a CSV has columns of images and boxes; DatasetError where it cannot be read."""
    header = next(csv_rows(source), (0, []))[1]
    return {"image", *SIDES} <= {cell.casefold() for cell in header}


def read_csv(source: Path) -> ObjectList:
    """Read the objects of a CSV; DatasetError that gives the line."""
    rows = csv_rows(source)
    header = next(rows, (0, []))[1]
    if not header:
        raise DatasetError(source, f"the file is empty; {_EXPECTED}")
    names = [cell.casefold() for cell in header]
    for name in (*_COLUMNS, *_OPTIONAL):
        if names.count(name) > 1 or (name in _COLUMNS and name not in names):
            what = f"no column {name}" if name not in names else f"the column {name} occurs {names.count(name)} times"
            raise DatasetError(source, f"{what}; {_EXPECTED}, found {','.join(header)!r}")
    columns = {name: names.index(name) for name in (*_COLUMNS, *_OPTIONAL) if name in names}
    gathered = Gathered()
    for line, row in rows:
        cells = {name: row[at] if at < len(row) else "" for name, at in columns.items()}
        try:
            _add(gathered, source.parent, cells)
        except ValueError as error:
            raise DatasetError(source, f"line {line}: {error}") from None
    if not len(gathered):
        raise DatasetError(source, "no images are listed below the header")
    return gathered.listed()


def _add(gathered: Gathered, folder: Path, cells: dict[str, str]) -> None:
    if not cells["image"]:
        raise ValueError("the image is empty")
    image = folder / cells["image"]
    if not any(cells[name] for name in _COLUMNS[1:]):
        gathered.image(image)
        return
    if not cells["class"]:
        raise ValueError("the class is empty")
    box = [to_number(name, cells[name]) for name in SIDES]
    score = to_number("score", cells.get("score") or "1")
    ignored = cells.get("ignored") or "0"
    if ignored not in ("0", "1"):
        raise ValueError(f"ignored must be 0 or 1, got {ignored!r}")
    gathered.add(image, box, cells["class"], score=score, ignored=ignored == "1")


def csv_text(images: ObjectList, names: list[str]) -> bytes:
    """Return the text of a CSV, with the columns that are needed; ``names`` are those of the images."""
    scored = any((objects.scores != 1).any() for objects in images.objects)
    ignoring = any(objects.ignored.any() for objects in images.objects)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *["score"] * scored, *["ignored"] * ignoring])
    for name, objects in zip(names, images.objects, strict=True):
        if not len(objects):
            writer.writerow([name, *[""] * (len(_COLUMNS) - 1 + scored + ignoring)])
        for label, box, score, ignored in rows_of(objects):
            writer.writerow([name, label, *box, *[score] * scored, *[int(ignored)] * ignoring])
    return text.getvalue().encode("utf-8", "surrogateescape")
