"""Reading what is marked on images, in the formats that programs for marking write."""

from __future__ import annotations

import os
from pathlib import Path

from cvbow.annotations._coco import read_coco
from cvbow.annotations._csv import is_boxes, read_csv
from cvbow.annotations._voc import read_voc, xml_files
from cvbow.annotations._yolo import is_yolo, read_yolo
from cvbow.annotations.objects import ObjectList
from cvbow.errors import DatasetError
from cvbow.files import no_such
from cvbow.images import list_images

_EXPECTED = (
    "a .csv file with the columns image,class,xmin,ymin,xmax,ymax, a .json file of COCO, a folder with XML files of "
    "VOC, or a folder with YOLO's folders images and labels"
)


def read_objects(source: str | os.PathLike[str]) -> ObjectList:
    r"""Read the objects that are marked on images: a CSV, COCO's JSON, a folder of VOC's XML files or of YOLO's texts.

    A CSV has the columns ``image,class,xmin,ymin,xmax,ymax``, in any order among any others, and perhaps ``score``
    (1 where it is empty) and ``ignored`` (0 or 1). Each row is an object; one with an image and nothing else is an
    image without objects. Relative paths are relative to its folder.

    Of COCO's JSON, ``images``, ``annotations`` and ``categories`` are read; images lie beside it, in ``images`` there
    or one folder up, or one folder up in a folder named as the last part of its name (``instances_val2017.json``).

    A folder of VOC has XML files, or the folder ``Annotations`` with them; images lie beside these or in
    ``JPEGImages`` or ``images`` one folder up, under the name that the file gives, or under its own.

    A folder of YOLO has ``labels`` and ``images``, and the classes' names in ``classes.txt`` or ``data.yaml``, here or
    one folder up.

    Parameters
    ----------
    source : path

    Returns
    -------
    ObjectList
        Images in the order of the file, or in natural order. Whether boxes lie within their images is looked at when
        these are read, with ``Objects.within``.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    DatasetError
        If it is none of these, or breaks its format; the message names the place, the rule and the value.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow import read_objects
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "boxes.csv")
    ...     _ = path.write_text("image,class,xmin,ymin,xmax,ymax\n1.jpg,dog,10,20,110,80\n2.jpg,,,,,\n")
    ...     images = read_objects(path)
    >>> [path.name for path in images.paths], images.labels
    (['1.jpg', '2.jpg'], (('dog',), ()))
    """
    root = Path(source)
    if root.is_dir():
        if is_yolo(root):
            return read_yolo(root)
        files = xml_files(root)
        if files:
            return read_voc(files)
        raise DatasetError(root, f"expected {_EXPECTED}")
    if not root.exists():
        raise no_such(root)
    readers = {".csv": read_csv, ".json": read_coco}
    if root.suffix.casefold() not in readers:
        raise DatasetError(root, f"expected {_EXPECTED}")
    return readers[root.suffix.casefold()](root)


def has_objects(source: str | os.PathLike[str]) -> bool:
    r"""Tell whether objects are marked in what could also be a folder of class folders, or a CSV of images and labels.

    Nothing is read but the first line of a CSV. A folder of class folders stays one also where XML files lie beside
    these.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow.annotations import has_objects
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels.csv")
    ...     _ = path.write_text("path,label\n1.jpg,dog\n")
    ...     has_objects(path)
    False
    """
    root = Path(source)
    if root.is_dir():
        files = xml_files(root)
        return is_yolo(root) or (bool(files) and (files[0].parent != root or not _has_class_folders(root)))
    if root.suffix.casefold() == ".csv":
        return is_boxes(root)
    return root.suffix.casefold() == ".json"


def _has_class_folders(root: Path) -> bool:
    try:
        return bool(list_images(root).classes)
    except DatasetError:
        return False
