"""Writing objects, for other programs and for reading them again."""

from __future__ import annotations

import os
from pathlib import Path

from cvbow.annotations._coco import coco_text
from cvbow.annotations._csv import csv_text
from cvbow.annotations.objects import ObjectList
from cvbow.storage import check_suffix, replacing


def write_objects(path: str | os.PathLike[str], images: ObjectList) -> None:
    """Write the objects of images as a CSV or as COCO's JSON, whole or not at all.

    Parameters
    ----------
    path : path
        Ends in .csv or .json. Images that lie below its folder are named relative to that, others by their whole path.
        A CSV has a column ``score`` where one is not 1, and a column ``ignored`` where an object is; JSON has the sizes
        of images that can be read.
    images : ObjectList

    Raises
    ------
    ValueError
        If the path ends in something else.
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow import Objects
    >>> from cvbow.annotations import ObjectList, write_objects
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "boxes.csv")
    ...     image = pathlib.Path(folder, "1.jpg")
    ...     write_objects(path, ObjectList((image,), (Objects.of([[10, 20, 110, 80]], ["dog"]),)))
    ...     print(path.read_text(), end="")
    image,class,xmin,ymin,xmax,ymax
    1.jpg,dog,10.0,20.0,110.0,80.0
    """
    check_suffix(path, ".csv", ".json")
    folder = Path(path).absolute().parent
    names = [_name(image, folder) for image in images.paths]
    text = csv_text if Path(path).suffix.casefold() == ".csv" else coco_text
    with replacing(path) as file:
        file.write(text(images, names))


def _name(image: Path, folder: Path) -> str:
    whole = Path(os.path.abspath(image))
    return (whole.relative_to(folder) if whole.is_relative_to(folder) else whole).as_posix()
