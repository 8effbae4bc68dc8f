"""Telling whether a data set on this machine is whole and unchanged."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cvbow.datasets.images import fingerprint
from cvbow.datasets.lock import hash_files, read_lock
from cvbow.datasets.places import Place, load_dataset, locate
from cvbow.errors import DatasetError

__all__ = ["Verified", "verify"]


@dataclass(frozen=True)
class Verified:
    """A data set that passed.

    Attributes
    ----------
    place : Place
    n_images, n_classes : int
    fingerprint : str
        SHA-256 over names, labels and contents of the images: what a benchmark's result tells of its data.
    against : {"record", "fingerprint", "counts"}
        What it was compared with: the record of each file from when it was fetched; the known fingerprint; or, where
        there is neither, only the number of images and classes.
    """

    place: Place
    n_images: int
    n_classes: int
    fingerprint: str
    against: str


def verify(name: str, data_dir: str | os.PathLike[str] | None = None, *, n_jobs: int | None = -1) -> Verified:
    """Compare a data set with what is known of it.

    Parameters
    ----------
    name, data_dir
        As for ``locate``.
    n_jobs : int or None, default -1
        Workers that hash the files.

    Raises
    ------
    DatasetError
        That names the first file which is missing, changed or new; or says that the data set is nowhere.
    """
    place = locate(name, data_dir)
    against = "counts"
    if place.origin == "fetched" and _compare_with_record(place, n_jobs):
        against = "record"
    images = load_dataset(place)
    found = fingerprint(images, n_jobs=n_jobs)
    if place.manifest.fingerprint is not None:
        check_fingerprint(place, found)
        against = "fingerprint" if against == "counts" else against
    return Verified(place, len(images), len(images.classes), found, against)


def check_fingerprint(place: Place, found: str) -> None:
    """Raise DatasetError where the fingerprint of a data set is known, and another one."""
    expected = place.manifest.fingerprint
    if expected is not None and found != expected:
        raise DatasetError(place.root, f"the images are not the known ones: their SHA-256 is {found}, not {expected}")


def _compare_with_record(place: Place, n_jobs: int | None) -> bool:
    lock = read_lock(place.root.parent)
    if lock is None:
        return False
    for name in lock.files:
        if not (place.root / name).is_file():
            raise DatasetError(place.root / name, "the file is missing")
    for name, digest in hash_files(place.root, n_jobs=n_jobs).items():
        expected = lock.files.get(name)
        if expected is None:
            raise DatasetError(place.root / name, "the file was not there when the data set was fetched")
        if digest != expected:
            raise DatasetError(
                place.root / name, f"the file has changed: its SHA-256 is {digest}, expected {expected}"
            )
    return True
