"""What is marked on images, or found in them: boxes and their classes; read, written, compared."""

from __future__ import annotations

from cvbow.annotations.boxes import iou, suppress
from cvbow.annotations.objects import ObjectList, Objects
from cvbow.annotations.reading import has_objects, read_objects
from cvbow.annotations.writing import write_objects, write_voc, write_yolo

__all__ = [
    "ObjectList",
    "Objects",
    "has_objects",
    "iou",
    "read_objects",
    "suppress",
    "write_objects",
    "write_voc",
    "write_yolo",
]
