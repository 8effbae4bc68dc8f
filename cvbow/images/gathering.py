"""Gathering images without labels: from folders at any depth, lists, and single files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cvbow.errors import DatasetError
from cvbow.images.listing import images_below
from cvbow.images.manifest import read_manifest

__all__ = ["gather_images"]


def gather_images(sources: Sequence[str | os.PathLike[str]]) -> tuple[tuple[Path, ...], int]:
    """List the images of folders, of CSV files, and files that are named.

    Parameters
    ----------
    sources : sequence of paths
        A folder gives all images below it, in the natural order of their paths; a file that ends in ``.csv`` those of
        its column ``path``; any other path stands for itself, whether there is such a file or not.

    Returns
    -------
    paths : tuple of Path
        In the order of `sources`, each once.
    ignored : int
        Files in folders that were left out: hidden ones, and those that are not images.

    Raises
    ------
    DatasetError
        When a folder has no image or cannot be read, or a CSV is not as it should be.
    FileNotFoundError
        When there is no such CSV.
    """
    paths: dict[Path, None] = {}
    ignored = 0
    for source in map(Path, sources):
        if source.is_dir():
            found, left_out = images_below(source)
            if not found:
                raise DatasetError(source, f"no images in this folder, {left_out} other files")
            paths.update(dict.fromkeys(found))
            ignored += left_out
        elif source.suffix.casefold() == ".csv":
            paths.update(dict.fromkeys(read_manifest(source).paths))
        else:
            paths[source] = None
    return tuple(paths), ignored
