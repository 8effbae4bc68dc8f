"""From a manifest to a data set in the cache: download, check, unpack, check again, and only then put in place."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvbow.datasets.catalog import RemoteFile, find_dataset
from cvbow.datasets.downloading import download
from cvbow.datasets.places import Place, cache_folder, load_dataset
from cvbow.datasets.record import RECORD_FILE, Archive, FetchRecord, hash_files, read_record, write_record
from cvbow.datasets.unpacking import unpack
from cvbow.errors import DatasetError
from cvbow.files import file_hash
from cvbow.progress import note
from cvbow.storage import WriterLock


@dataclass(frozen=True)
class Fetched:
    """A data set in the cache.

    Attributes
    ----------
    place : Place
    record : FetchRecord
    already : bool
        Whether it had been there before.

    Examples
    --------
    >>> from cvbow.datasets import Fetched, locate
    >>> from cvbow.datasets.record import Archive, FetchRecord
    >>> record = FetchRecord({"photos.zip": Archive("5e88...", n_bytes=1000, checked=None)}, files={})
    >>> fetched = Fetched(locate("digits"), record, already=False)
    >>> fetched.place.origin, fetched.record.archives["photos.zip"].n_bytes
    ('installed', 1000)
    """

    place: Place
    record: FetchRecord
    already: bool


def fetch(name: str, *, again: bool = False, keep: bool = False, n_jobs: int | None = -1) -> Fetched:
    """Download a data set into the cache, unless it is there.

    Each file must have the hash of the manifest, or, where that has none, the hash that it had the last time. The
    data set gets its place only when all of it is unpacked and has as many images as it should.

    Parameters
    ----------
    name : str
        Of a manifest.
    again : bool, default False
        Download it even if it is there, in the old one's place.
    keep : bool, default False
        Keep the downloaded archives.
    n_jobs : int or None, default -1
        Workers that hash the files.

    Raises
    ------
    DatasetError
        If the data set cannot be fetched, another process is fetching it, no address has a file, a hash is wrong, or an
        archive is not as it should be.
    ImportError
        If pooch is not installed.
    ValueError
        If there is no data set of that name.
    """
    manifest = find_dataset(name)
    if not manifest.files:
        how = manifest.notes or "it comes with scikit-learn"
        raise DatasetError(manifest.title, f"there is nothing to fetch: {how}")
    folder = cache_folder() / name
    place = Place(manifest, folder / "data", "fetched")
    record = read_record(folder)
    if record is not None and place.root.is_dir() and not again:
        return Fetched(place, record, True)
    downloads = folder / "download"
    downloads.mkdir(parents=True, exist_ok=True)
    # One process at a time: two would write into the same parts and put their folders in one place.
    with WriterLock(os.fspath(folder), DatasetError):
        paths = {}
        archives = {}
        for file in manifest.files:
            paths[file.name], archives[file.name] = _get(file, downloads, record)
        with _temporary(folder) as fresh:
            for file in manifest.files:
                _unpack(file, paths[file.name], fresh)
            load_dataset(Place(manifest, fresh, "fetched"))
            record = FetchRecord(archives, hash_files(fresh, n_jobs=n_jobs))
            write_record(folder, record)
            _put_in_place(fresh, place.root)
        if not keep:
            shutil.rmtree(downloads, ignore_errors=True)
    return Fetched(place, record, False)


def _unpack(file: RemoteFile, path: Path, folder: Path) -> None:
    if file.into is not None:
        folder = folder / file.into
        folder.mkdir(exist_ok=True)
    if not file.unpack:
        shutil.copyfile(path, folder / file.name)
        return
    note(f"{file.name}: unpacking")
    try:
        unpack(path, folder, nested=file.nested)
    except DatasetError:
        if file.hash is None:
            path.unlink()  # it may be the download's fault: the next call gets it anew
        raise


def _get(file: RemoteFile, downloads: Path, record: FetchRecord | None) -> tuple[Path, Archive]:
    before = record.archives.get(file.name) if record is not None else None
    expected = file.hash
    if expected is None and before is not None:
        expected = f"sha256:{before.sha256}"
    try:
        path = download(file, downloads, expected=expected)
    except DatasetError as error:
        if file.hash is None and before is not None:
            was = f"the hash expected is that of {before.date}, recorded in {downloads.parent / RECORD_FILE}"
            raise DatasetError(error.path, f"{error.reason}; {was}: delete that file to accept the new one") from error
        raise
    digest = file_hash(path)
    verdict = f"as {file.hash_source} says" if file.hash else "recorded for the next time, as no hash is published"
    note(f"{file.name}: sha256:{digest} ({verdict})")
    return path, Archive(digest, path.stat().st_size, file.hash)


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Make a folder beside the data set's place, so that a rename gets it there; it is gone after the block."""
    # Not by tempfile, whose folders nobody else may read: this one may stay, under another name.
    made = folder / f".{os.getpid()}.{secrets.token_hex(4)}.tmp"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put_in_place(fresh: Path, root: Path) -> None:
    with _temporary(root.parent) as old:
        if root.exists():
            os.replace(root, old / "data")
        os.replace(fresh, root)
