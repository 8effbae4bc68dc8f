"""Objects in the text files of YOLO: a line for each, with the number of its class and its box in shares of the image.

J. Redmon, S. Divvala, R. Girshick and A. Farhadi, "You only look once", CVPR 2016; the files are those of its program
Darknet. A line is CLASS X Y WIDTH HEIGHT, where x and y are the centre; the names of classes stand in ``classes.txt``,
a line each, or under ``names`` in ``data.yaml``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cvbow.annotations._marks import Gathered, rows_of, to_number
from cvbow.annotations._sizes import size_of
from cvbow.annotations.objects import ObjectList, Objects
from cvbow.errors import DatasetError, ImageError
from cvbow.files import read_text
from cvbow.images import gather_images
from cvbow.progress import note

_NAMES = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")


def is_yolo(folder: Path) -> bool:
    """Tell whether a folder has folders ``images`` and ``labels``."""
    return (folder / "labels").is_dir() and (folder / "images").is_dir()


def read_yolo(folder: Path) -> ObjectList:
    """Read the objects of labels/*.txt for the images below images/; DatasetError that gives the file and the line.

    An image without a file of labels has no objects. One that cannot be read has none here, as the places are shares of
    its size; how many there are is noted, and each is reported where it is used.
    """
    names = _read_names(folder)
    paths, _ = gather_images([folder / "images"])
    gathered, unread = Gathered(), 0
    files = {file: None for file in sorted((folder / "labels").rglob("*.txt")) if file.name != "classes.txt"}
    for path in paths:
        gathered.image(path)
        file = (folder / "labels" / path.relative_to(folder / "images")).with_suffix(".txt")
        if file not in files:
            continue
        del files[file]
        lines = _lines(file)
        if not lines:
            continue
        size = size_of(path)
        unread += size is None
        for number, line in lines:
            try:
                box, name, score = _mark(line, names)
                if size is not None:
                    width, height = size
                    x, y, w, h = box
                    sides = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
                    gathered.add(path, sides, name, score=score)
            except ValueError as error:
                raise DatasetError(file, f"line {number}: {error}") from None
    if files:
        raise DatasetError(next(iter(files)), f"there is no image for it in {folder / 'images'}")
    if unread:
        which = "1 image" if unread == 1 else f"{unread} images"
        note(f"{which} of {folder} cannot be read, and {'its' if unread == 1 else 'their'} objects are left out")
    return gathered.listed()


def yolo_text(path: Path, objects: Objects, classes: Sequence[str]) -> bytes:
    """Return the lines of the objects on one image, with scores where one is not 1; ImageError if it cannot be read."""
    size = size_of(path)
    if size is None:
        raise ImageError(path, "its size cannot be read, of which YOLO's boxes are shares")
    width, height = size
    scored = bool((objects.scores != 1).any())
    lines = []
    for name, (xmin, ymin, xmax, ymax), score, _ in rows_of(objects):
        box = (xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height, (xmax - xmin) / width, (ymax - ymin) / height
        lines.append(" ".join(map(str, (classes.index(name), *box, *[score] * scored))) + "\n")
    return "".join(lines).encode()


def _mark(line: str, names: list[str]) -> tuple[list[float], str, float]:
    cells = line.split()
    if len(cells) not in (5, 6):
        raise ValueError(f"expected CLASS X Y WIDTH HEIGHT, perhaps with a score, found {line[:60]!r}")
    if not cells[0].isdecimal() or int(cells[0]) >= len(names):
        raise ValueError(f"the class must be a number below {len(names)}, got {cells[0][:60]!r}")
    box = [to_number(name, cell) for name, cell in zip(("x", "y", "width", "height"), cells[1:5], strict=True)]
    for side, value in zip(("width", "height"), box[2:], strict=True):
        if value <= 0:
            raise ValueError(f"the {side} must be above 0, got {value:g}")
    return box, names[int(cells[0])], to_number("score", cells[5]) if len(cells) == 6 else 1.0


def _lines(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a text that hold anything, with their numbers."""
    try:
        text = read_text(file, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(file, "the file is not UTF-8 text") from None
    except OSError as error:
        raise DatasetError(file, f"the file cannot be read ({(error.strerror or 'error').lower()})") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _read_names(folder: Path) -> list[str]:
    for place in (folder, folder / "labels", Path(os.path.normpath(folder.absolute().parent))):
        for file in (place / name for name in _NAMES):
            if file.is_file():
                lines = _lines(file)
                is_list = file.suffix != ".yaml"
                names = [line.strip() for _, line in lines] if is_list else _yaml_names(lines)
                if not is_list and not (names and all(names)):
                    raise DatasetError(file, "expected the names of the classes, found none")
                return names
    raise DatasetError(folder, "expected the names of the classes in classes.txt or data.yaml, found neither")


def _yaml_names(lines: list[tuple[int, str]]) -> list[str]:
    """Return the list ``names`` of a YAML file, in any of the three ways in which programs write it."""
    texts = [re.sub(r"(^|\s)#.*", "", line).rstrip() for _, line in lines]
    start = next((number for number, text in enumerate(texts) if text.startswith("names:")), None)
    if start is None:
        return []
    head = texts[start].removeprefix("names:").strip()
    below: list[str] = []
    for text in texts[start + 1 :]:
        if text and not text.startswith((" ", "\t", "-", "]", "}")):
            break
        below.append(text.strip())
    if head.startswith(("[", "{")):
        items = " ".join([head, *below]).strip("[]{} ").split(",")
    else:
        items = [text.removeprefix("-") for text in below if text]
    numbered = [re.fullmatch(r"\s*(?:(\d+)\s*:)?\s*(.*?)\s*", item) for item in items if item.strip()]
    found = [(int(match[1] or place), match[2].strip("'\"")) for place, match in enumerate(numbered) if match]
    return (
        [name for _, name in sorted(found)] if sorted(number for number, _ in found) == list(range(len(found))) else []
    )
