"""Objects in the JSON of Microsoft COCO.

T.-Y. Lin and others, "Microsoft COCO: common objects in context", ECCV 2014. A box is x, y, width and height, and what
has ``iscrowd`` is a crowd: it is neither to be found nor a mistake.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvbow.annotations._marks import Gathered, rows_of, short, to_number
from cvbow.annotations._sizes import size_of
from cvbow.annotations.objects import ObjectList
from cvbow.errors import DatasetError
from cvbow.files import read_text
from cvbow.storage import GENERATOR, readable_json

_TABLES = ("images", "annotations", "categories")
_EXPECTED = "expected COCO's JSON: an object with images, annotations and categories"


def read_coco(source: Path) -> ObjectList:
    """Read the objects of a COCO JSON; DatasetError that gives the place."""
    try:
        content = _parse(source)
        images = {row["id"]: row["file_name"] for row in _rows(content, "images", ("id", "file_name"))}
        names = {row["id"]: row["name"] for row in _rows(content, "categories", ("id", "name"))}
        folder = _folder(source, list(images.values()))
        gathered = Gathered()
        for name in images.values():
            gathered.image(folder / name)
        for number, row in enumerate(_rows(content, "annotations", ("image_id", "category_id", "bbox"))):
            try:
                _add(gathered, folder, row, images, names)
            except ValueError as error:
                raise ValueError(f"annotations[{number}] (id {short(row.get('id'))}): {error}") from None
    except ValueError as error:
        raise DatasetError(source, str(error)) from None
    if not len(gathered):
        raise DatasetError(source, "no images are listed")
    return gathered.listed()


def coco_text(images: ObjectList, names: list[str]) -> bytes:
    """Return COCO's JSON; ``names`` are those of the images, whose sizes are told where they can be read."""
    numbers = {name: number for number, name in enumerate(images.classes, 1)}
    scored = any((objects.scores != 1).any() for objects in images.objects)
    pictures: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for number, (path, name, objects) in enumerate(zip(images.paths, names, images.objects, strict=True), 1):
        size = size_of(path)
        sides = {} if size is None else {"width": size[0], "height": size[1]}
        pictures.append({"id": number, "file_name": name, **sides})
        for label, box, score, ignored in rows_of(objects):
            width, height = box[2] - box[0], box[3] - box[1]
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": number,
                    "category_id": numbers[label],
                    "bbox": [box[0], box[1], width, height],
                    "area": width * height,
                    "iscrowd": int(ignored),
                    **({"score": score} if scored else {}),
                }
            )
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    info = {"generator": GENERATOR}
    tables = dict(zip(_TABLES, (pictures, marks, categories), strict=True))
    return readable_json({"info": info, **tables}, indent=1) + b"\n"


def _parse(source: Path) -> dict[str, Any]:
    try:
        text = read_text(source, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"the file cannot be read ({(error.strerror or 'error').lower()})") from None
    if not text.strip():
        raise ValueError(f"the file is empty; {_EXPECTED}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file is not JSON ({str(error)[:100]})") from None
    missing = [name for name in _TABLES if not isinstance(content, dict) or not isinstance(content.get(name), list)]
    if missing:
        raise ValueError(f"it has no list {missing[0]}; {_EXPECTED}")
    found: dict[str, Any] = content
    return found


def _rows(content: dict[str, Any], table: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a table that must have some keys; names are texts, ids are numbers or texts, each once."""
    seen = set()
    for number, row in enumerate(content[table]):
        where = f"{table}[{number}]"
        if not isinstance(row, dict):
            raise ValueError(f"{where} must be an object, got {short(row)}")
        for key in keys:
            value = row.get(key)
            if key == "bbox":
                continue
            kinds: Any = (int, str) if key.endswith("id") else str
            if not isinstance(value, kinds) or value == "" or "\0" in str(value):
                wanted = "a number or a text" if key.endswith("id") else "a text"
                raise ValueError(f"{where}: {key} must be {wanted}, got {short(value)}")
        if "id" in keys:
            if row["id"] in seen:
                raise ValueError(f"{where}: the id {short(row['id'])} occurs twice")
            seen.add(row["id"])
    rows: list[dict[str, Any]] = content[table]
    return rows


def _add(gathered: Gathered, folder: Path, row: dict[str, Any], images: dict[Any, str], names: dict[Any, str]) -> None:
    for key, known in (("image_id", images), ("category_id", names)):
        if row[key] not in known:
            raise ValueError(f"there is no {key.removesuffix('_id')} with the id {short(row[key])}")
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"bbox must be x, y, width and height, got {short(box)}")
    x, y, width, height = (
        to_number(name, value) for name, value in zip(("x", "y", "width", "height"), box, strict=True)
    )
    for side, value in (("width", width), ("height", height)):
        if value <= 0:
            raise ValueError(f"{side} must be above 0, got {value:g}")
    score, crowd = to_number("score", row.get("score", 1)), row.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise ValueError(f"iscrowd must be 0 or 1, got {short(crowd)}")
    gathered.add(
        folder / images[row["image_id"]],
        (x, y, x + width, y + height),
        names[row["category_id"]],
        score=score,
        ignored=bool(crowd),
    )


def _folder(source: Path, names: list[str]) -> Path:
    """Return the folder that names are relative to: one that has the first of them, else that of the file."""
    part = source.stem.rpartition("_")[2]
    places = (".", "images", "../images", f"../{part}", f"../images/{part}", "..")
    for place in places:
        folder = source.parent / place if place != "." else source.parent
        if names and (folder / names[0]).is_file():
            return folder
    return source.parent
