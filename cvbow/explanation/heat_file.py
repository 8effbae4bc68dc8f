"""Heat maps in a file that NumPy reads: an array for each image and class."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from cvbow.explanation._explanation import Explanation
from cvbow.storage import HEAT_MARK, check_suffix, replacing

#: A field of a zip entry: two bytes for its kind, of those that nobody has taken, two for its length, and the mark.
_FIELD = struct.pack("<HH", 0x6263, len(HEAT_MARK)) + HEAT_MARK
#: The same file for the same maps, whenever it is written.
_TIME = (1980, 1, 1, 0, 0, 0)


@contextmanager
def heat_file(path: str | os.PathLike[str]) -> Iterator[Callable[[Explanation], None]]:
    """Write the heat of explanations into one file, whole or not at all.

    Inside the block, call what it gives with one explanation after another. ``numpy.load`` reads the file: the arrays
    (H, W), float32, are named ``path:class``, and ``path:class-other`` where the class is explained against another.

    Parameters
    ----------
    path : path
        Ends in .npz.

    Raises
    ------
    ValueError
        If the path does not end in .npz.
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, explain
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.explanation import heat_file
    >>> white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> model = ImageClassifier(ColorHistogram()).fit([white, black] * 3, ["white", "black"] * 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "heat.npz")
    ...     with heat_file(path) as write:
    ...         write(explain(model, white))
    ...     {name: array.shape for name, array in np.load(path).items()}
    {'image:white': (8, 8)}
    """
    check_suffix(path, ".npz")
    names: set[str] = set()
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def write(explanation: Explanation) -> None:
            against = "" if explanation.against is None else f"-{explanation.against}"
            name = f"{explanation.path or 'image'}:{explanation.class_name}{against}"
            if name in names:
                return
            names.add(name)
            entry = zipfile.ZipInfo(f"{name}.npy", _TIME)
            entry.extra, entry.compress_type = _FIELD, zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, explanation.heat, allow_pickle=False)

        yield write
