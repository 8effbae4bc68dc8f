"""An index of images on the disk: adding, searching, and evaluating it against ground truth."""

from cvbow.index._adding import AddReport
from cvbow.index._records import Record
from cvbow.index.evaluation import evaluate_index
from cvbow.index.image_index import ImageIndex, RemoveReport
from cvbow.index.parts import search_parts
from cvbow.index.search import Result, Results, Search

__all__ = [
    "AddReport",
    "ImageIndex",
    "Record",
    "RemoveReport",
    "Result",
    "Results",
    "Search",
    "evaluate_index",
    "search_parts",
]
