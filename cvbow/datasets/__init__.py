"""Published data sets: what is known of them, where they lie, fetching and verifying them.

Nothing here is needed to work on images of one's own; ``cvbow.images.list_images`` lists those.
"""

from cvbow.datasets.catalog import Manifest, RemoteFile, dataset_names, find_dataset, read_dataset
from cvbow.datasets.fetching import Fetched, fetch
from cvbow.datasets.images import LabelledImages, fingerprint
from cvbow.datasets.places import Place, cache_folder, load_dataset, locate
from cvbow.datasets.record import read_record
from cvbow.datasets.retrieval_sets import RetrievalLayout, RetrievalSet
from cvbow.datasets.sequences import ImageSequence, Sequences, homographies_hash
from cvbow.datasets.verifying import Verified, identify, verify

__all__ = [
    "Fetched",
    "ImageSequence",
    "LabelledImages",
    "Manifest",
    "Place",
    "RemoteFile",
    "RetrievalLayout",
    "RetrievalSet",
    "Sequences",
    "Verified",
    "cache_folder",
    "dataset_names",
    "fetch",
    "find_dataset",
    "fingerprint",
    "homographies_hash",
    "identify",
    "load_dataset",
    "locate",
    "read_dataset",
    "read_record",
    "verify",
]
