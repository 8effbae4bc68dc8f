"""Model and index files: one file, versioned, hashed, written whole or not at all, and nothing in it can execute.

A file is an uncompressed ZIP archive with ``manifest.json`` and the arrays as ``.npy``: `save` writes one, `load`
verifies it and builds what it holds, `inspect` verifies it and builds nothing. Equal content has an equal
`StoredModel.content_hash` on every machine, and equal bytes where the library versions are equal too.

A class is storable once it is registered, in a registry such as ``cvbow.features.DETECTORS`` or by `storable`, and its
``__dict__`` holds plain values, arrays and storable objects. It may declare

``transient : ClassVar[Mapping[str, Any]]``
    attributes that belong to a run and not to the model, with the value that is stored instead
    (``{"n_jobs": None}``); `load` gives them that value, whatever a file says;
``added : ClassVar[Mapping[str, Any]]``
    parameters that the class did not always have, with the values that files without them mean; they are stored only
    where they have another, so that what was the same before has the same content hash;
``unstored : ClassVar[Collection[str]]``
    attributes that are never stored, whatever they hold;
``learned : ClassVar[Mapping[str, Learned]]``
    rules for what it has learned: each an `Array`, a `Number`, `ClassNames` or a `Part`. Values are finite, and lengths
    agree; `load` refuses a state that breaks a rule;
``check_state(self) -> None``
    called on every object that `load` builds, to raise ValueError where its state is impossible in another way.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvbow import __version__
from cvbow.errors import ModelFileError
from cvbow.storage._atomic import check_writable, naming, recording, replacing
from cvbow.storage._classes import check_state, storable
from cvbow.storage._container import FORMAT_VERSION, canonical_json, content_hash, is_kind, read, readable_json, write
from cvbow.storage._deserializer import Deserializer, holds_fitted_sklearn
from cvbow.storage._lock import LOCK_FILES, WriterLock
from cvbow.storage._marks import GENERATOR, HEAT_MARK, check_suffix, kind_of
from cvbow.storage._serializer import Serializer
from cvbow.storage.learned import Array, ClassNames, Learned, Number, Part, check_learned

__all__ = [
    "FORMAT_VERSION",
    "GENERATOR",
    "HEAT_MARK",
    "LOCK_FILES",
    "Array",
    "ClassNames",
    "Learned",
    "Number",
    "Part",
    "StoredModel",
    "WriterLock",
    "canonical_json",
    "check_learned",
    "check_state",
    "check_storable",
    "check_suffix",
    "check_writable",
    "inspect",
    "kind_of",
    "load",
    "naming",
    "readable_json",
    "recording",
    "replacing",
    "save",
    "size_of",
    "storable",
]


@dataclass(frozen=True)
class StoredModel:
    """What a file holds.

    Attributes
    ----------
    kind : str
        ``"classifier"``, for instance.
    state : object
        What was given to `save`; None from `inspect`.
    metadata : dict
        What was given to `save`, NumPy's scalars as Python's.
    versions : dict
        Version of cvbow, python, numpy, scikit-learn and opencv that wrote the file; None for one that was not there.
    content_hash : str
        SHA-256, 64 hexadecimal digits, of kind, state and metadata: not of versions.
    format_version : int
    warnings : tuple of str
        What a user should know before trusting the answers: written with another scikit-learn, for instance.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import storage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "numbers.cvbow")
    ...     digest = storage.save(path, kind="example", state={"mean": np.zeros(3)}, metadata={"n_images": 12})
    ...     model = storage.load(path, kind="example")
    >>> model.state, model.metadata, model.content_hash == digest
    ({'mean': array([0., 0., 0.])}, {'n_images': 12}, True)
    """

    kind: str
    state: Any
    metadata: dict[str, Any]
    versions: dict[str, str | None]
    content_hash: str
    format_version: int
    warnings: tuple[str, ...] = ()


def save(path: str | os.PathLike[str], *, kind: str, state: object, metadata: Mapping[str, Any]) -> str:
    """Write a model file.

    The file appears under its name only once it is whole and on the disk, in place of one that was there. A process
    that is killed on the way may leave a hidden ``.<name>.<pid>.<random>.tmp`` beside it.

    Parameters
    ----------
    path : path
    kind : str
        What the file is, in a word of lower-case letters; `load` asks for it.
    state : object
        None, bool, int, float, str, tuple, list, dict with str and int keys, NumPy scalars, dtypes and arrays (numbers,
        bool, text), ``scipy.sparse.csr_matrix``, and objects of storable classes, nested at most 50 deep.
    metadata : mapping of str
        Plain values only, for `inspect` to show. They count for the hash: what differs from run to run (times, paths,
        the number of workers) does not belong here.

    Returns
    -------
    str
        The content hash; the example of `StoredModel` compares it.

    Raises
    ------
    TypeError
        For a value that cannot be stored; the message names it (``state.reduce.random_state``).
    ValueError
        For a state that contains itself, or that `load` would refuse.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder is missing or read-only, or `path` is a folder.
    """
    if not is_kind(kind):
        raise ValueError(f"kind must be a word of at most 40 lower-case letters, got {kind!r}")
    check_writable(path)
    described = Serializer(plain=True).serialize(dict(metadata), "metadata")
    if "$" in described:
        raise TypeError("metadata must have keys that are str and other than '$'")
    serializer = Serializer()
    tree = serializer.serialize(state, "state")
    # What cannot be read back must not be written.
    Deserializer(serializer.arrays).build(tree, "state")
    digest = content_hash(kind, tree, described, serializer.arrays)
    manifest = {
        "format": "cvbow",
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "content_hash": digest,
        "versions": _versions(),
        "metadata": described,
        "tree": tree,
    }
    write(path, manifest, serializer.arrays)
    return digest


def check_storable(state: object, name: str = "state") -> None:
    """Raise what `save` would raise for a state that no file can hold; `name` stands for it in the message."""
    Serializer().serialize(state, name)


def size_of(state: object) -> int:
    """Return the bytes of the arrays that a file of a state would hold; TypeError as of `save`.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import storage
    >>> storage.size_of({"words": np.zeros((10, 4), np.float32)})
    160
    """
    serializer = Serializer()
    serializer.serialize(state, "state")
    return sum(array.nbytes for array in serializer.arrays)


def load(path: str | os.PathLike[str], *, kind: str) -> StoredModel:
    """Read a model file, verify all of it, and build what it holds.

    Parameters
    ----------
    path : path
    kind : str
        What the file must be.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ModelFileError
        For a file that is foreign, truncated, damaged, of another kind, written by a newer cvbow, or that holds what
        a model file must not hold.
    """
    return _stored(path, kind)


def inspect(path: str | os.PathLike[str]) -> StoredModel:
    """Read and verify a file of any kind without building what it holds: `StoredModel.state` is None.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As `load` does.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow import storage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "numbers.cvbow")
    ...     digest = storage.save(path, kind="example", state=[1, 2, 3], metadata={"n_images": 12})
    ...     storage.inspect(path).metadata
    {'n_images': 12}
    """
    return _stored(path, None)


def _stored(path: str | os.PathLike[str], kind: str | None) -> StoredModel:
    manifest, arrays = read(path, keep=kind is not None)
    found, versions = manifest["kind"], manifest["versions"]
    if kind is not None and found != kind:
        raise ModelFileError(path, f"holds {_article(found)}, not {_article(kind)}")
    state, notes = None, []
    try:
        metadata = Deserializer(plain=True).build(manifest["metadata"], "metadata")
        notes += _sklearn_differs(versions) if holds_fitted_sklearn(manifest["tree"]) else []
        if kind is not None:
            deserializer = Deserializer(arrays, version=manifest["format_version"])
            state = deserializer.build(manifest["tree"], "state")
            deserializer.finish()
            notes += deserializer.warnings
    except MemoryError as error:
        raise ModelFileError(path, "does not fit into memory") from error
    except Exception as error:
        # A class may fail in any way on a state that it never had; for the user it is one: the file is not usable.
        what = " ".join(str(error).split())[:500]
        what = what if isinstance(error, ValueError) else f"{type(error).__name__}: {what}"
        raise ModelFileError(path, f"holds a state that this cvbow cannot build: {what}") from error
    if not isinstance(metadata, dict):
        raise ModelFileError(path, "is damaged: its metadata is not a table")
    version = manifest["format_version"]
    return StoredModel(found, state, metadata, versions, manifest["content_hash"], version, tuple(notes))


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _versions() -> dict[str, str | None]:
    return {
        "cvbow": __version__,
        "python": platform.python_version(),
        "numpy": _installed("numpy"),
        "scikit-learn": _installed("scikit-learn"),
        "opencv": _opencv(),
    }


def _installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _opencv() -> str | None:
    # It is published under four names, so the module is asked.
    try:
        return str(importlib.import_module("cv2").__version__)
    except ImportError:
        return None


def _sklearn_differs(versions: Mapping[str, str | None]) -> list[str]:
    written, running = versions.get("scikit-learn"), _installed("scikit-learn")
    if written is None or running is None or written.split(".")[:2] == running.split(".")[:2]:
        return []
    return [f"written with scikit-learn {ascii(written[:20])[1:-1]}, read with {running}: its classifiers may differ"]
