"""An index of images on the disk: adding, searching, and judging it by a ground truth."""

from cvbow.index.evaluation import evaluate_index
from cvbow.index.image_index import AddReport, ImageIndex, Record, RemoveReport, Result

__all__ = ["AddReport", "ImageIndex", "Record", "RemoveReport", "Result", "evaluate_index"]
