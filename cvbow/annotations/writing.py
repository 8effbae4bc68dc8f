"""Writing objects, for other programs and for reading them again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cvbow.annotations._coco import coco_text
from cvbow.annotations._csv import csv_text
from cvbow.annotations._voc import voc_text
from cvbow.annotations._yolo import yolo_text
from cvbow.annotations.objects import ObjectList, Objects
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


def write_voc(folder: str | os.PathLike[str], images: ObjectList) -> None:
    """Write the objects of each image as an XML file of VOC's, NAME.xml for NAME.jpg, into a folder, which is made.

    VOC's files have no scores. As ``Annotations`` beside a folder ``JPEGImages`` with the images, programs for marking
    and ``read_objects`` find them.

    Raises
    ------
    ValueError
        If two images have one name, or a class has a name that is not one line of text.
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow import Objects, read_objects
    >>> from cvbow.annotations import ObjectList, write_voc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_voc(folder, ObjectList((pathlib.Path("1.jpg"),), (Objects.of([[10, 20, 110, 80]], ["dog"]),)))
    ...     read_objects(folder).objects[0].as_json()
    [{'class': 'dog', 'score': 1.0, 'xmin': 10.0, 'ymin': 20.0, 'xmax': 110.0, 'ymax': 80.0}]
    """
    _write_each(folder, images, ".xml", voc_text)


def write_yolo(folder: str | os.PathLike[str], images: ObjectList) -> None:
    """Write the objects of each image as a text of YOLO's, NAME.txt for NAME.jpg, and the classes as ``classes.txt``.

    They go into a folder, which is made; as ``labels`` beside ``images`` programs for marking and ``read_objects`` find
    them. Boxes are shares of the images' sides; a line has a score at its end where one of the image's is not 1.

    Raises
    ------
    ValueError
        If two images have one name, one is called "classes", or a class has a name that is not one line of text.
    ImageError
        If an image cannot be read: then its boxes have no shares.
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import Objects
    >>> from cvbow.annotations import ObjectList, write_yolo
    >>> from cvbow.images import encode_png
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "1.png")
    ...     _ = path.write_bytes(encode_png(np.zeros((100, 200), np.uint8)))
    ...     write_yolo(f"{folder}/labels", ObjectList((path,), (Objects.of([[10, 20, 110, 80]], ["dog"]),)))
    ...     print(pathlib.Path(folder, "labels", "1.txt").read_text(), end="")
    0 0.3 0.5 0.5 0.6
    """
    classes = images.classes
    if any(path.stem == "classes" for path in images.paths):
        raise ValueError("an image must not be called classes: the names of the classes are written under this name")
    _write_each(folder, images, ".txt", lambda path, objects: yolo_text(path, objects, classes))
    with replacing(Path(folder) / "classes.txt") as file:
        file.write("".join(f"{name}\n" for name in classes).encode())


def _write_each(
    folder: str | os.PathLike[str], images: ObjectList, suffix: str, text: Callable[[Path, Objects], bytes]
) -> None:
    """Write a file for each image, whole or not at all."""
    stems = [path.stem for path in images.paths]
    twice = next((name for name, count in Counter(stems).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"images must have names of their own, and two are called {twice!r}")
    broken = next((name for name in images.classes if not name.isprintable() or name != name.strip()), None)
    if broken is not None:
        raise ValueError(f"a class must be called by one line of text, got {broken!r}")
    texts = [text(path, objects) for path, objects in zip(images.paths, images.objects, strict=True)]
    os.makedirs(folder, exist_ok=True)
    for stem, content in zip(stems, texts, strict=True):
        with replacing(Path(folder) / f"{stem}{suffix}") as file:
            file.write(content)


def _name(image: Path, folder: Path) -> str:
    whole = Path(os.path.abspath(image))
    return (whole.relative_to(folder) if whole.is_relative_to(folder) else whole).as_posix()
