"""The weights of torchvision's models: official ones, fetched once, or those of a file; and reading them safely."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from cvbow.errors import NetworkError
from cvbow.files import file_hash, no_such, open_file
from cvbow.progress import note

_ENTRY_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
#: The first digits of a file's SHA-256, which torch.hub expects in its name.
_HASH = re.compile(r"-([a-f0-9]{6,64})\.")
#: A counter of training steps, which files of old lack.
_COUNTER = "num_batches_tracked"


def is_entry_name(weights: object) -> bool:
    """Whether ``weights`` names official weights, such as ``"IMAGENET1K_V1"``, rather than a file."""
    return isinstance(weights, str) and bool(_ENTRY_NAME.fullmatch(weights)) and not Path(weights).is_file()


def find_weights(model: str, weights: str | os.PathLike[str] | None) -> tuple[Path, Any]:
    """Return the file of a model's weights, and torchvision's entry for it, None for a file that is none of theirs.

    ``weights`` are a file, or the name of an entry, whose file is fetched into the cache of ``torch.hub``; None is
    torchvision's default entry. FileNotFoundError if there is no such file, ValueError if there is no such entry,
    NetworkError if weights cannot be fetched or have not the SHA-256 that they should have.
    """
    from torchvision.models import get_model_weights

    entries = list(get_model_weights(model))
    if weights is not None and not is_entry_name(weights):
        path = Path(weights)
        if not path.is_file():
            raise no_such(path, "file")
        digest = file_hash(path)
        return path, next((entry for entry in entries if (hashed := _hash(entry)) and digest.startswith(hashed)), None)
    names = {entry.name: entry for entry in entries}
    if weights is not None and weights not in names:
        raise ValueError(
            f"weights must be a file or one of {', '.join(names)}, the official ones of {model}; got {weights!r}"
        )
    entry = get_model_weights(model).DEFAULT if weights is None else names[os.fspath(weights)]
    return _fetched(entry), entry


def _hash(entry: Any) -> str:
    found = _HASH.search(_file_name(entry))
    return found.group(1) if found else ""


def _file_name(entry: Any) -> str:
    return os.path.basename(urlparse(str(entry.url)).path)


def _fetched(entry: Any) -> Path:
    """Return the file of official weights in the cache of torch.hub, where torchvision itself looks for it."""
    from torch import hub

    path = Path(hub.get_dir()) / "checkpoints" / _file_name(entry)
    if path.is_file():
        # torch.hub looks at the hash of what it fetches, not of what it finds.
        if not file_hash(path).startswith(_hash(entry)):
            raise NetworkError(path, "damaged: its SHA-256 is not the one in its name; delete it to fetch it again")
        return path
    note(f"fetching {entry.url}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        hub.download_url_to_file(entry.url, str(path), _hash(entry) or None, progress=sys.stderr.isatty())
    except urllib.error.HTTPError as error:
        raise NetworkError(entry.url, f"the weights cannot be fetched: {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise NetworkError(entry.url, f"the weights cannot be fetched: {error.reason}") from error
    except RuntimeError as error:  # how torch.hub says that the hash is wrong
        raise NetworkError(entry.url, f"the weights that were fetched are damaged: {error}") from error
    return path


def read_state(path: Path) -> dict[str, Any]:
    """Read a state_dict; no code in the file is ever run. NetworkError if the file is none.

    Tensors are contiguous, on the CPU; real numbers are float32.
    """
    import torch

    try:
        with open_file(path) as file:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of many kinds
        raise NetworkError(
            path, "not a file of weights: it must be a state_dict of tensors, as torch.save writes it, and undamaged"
        ) from error
    # Training scripts put the weights beside other things.
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise NetworkError(path, "not a file of weights: it must be a state_dict, tensors by their names")
    return {
        str(key).removeprefix("module."): (one.float() if one.is_floating_point() else one).detach().contiguous()
        for key, one in found.items()
    }


def state_digest(model: str, state: dict[str, Any]) -> str:
    """Return the SHA-256 of an architecture and its weights, whatever file they came from."""
    digest = hashlib.sha256(f"torchvision {model}\n".encode())
    for key in sorted(state):
        if not key.endswith(_COUNTER):
            values = np.ascontiguousarray(state[key].numpy())
            values = values.astype(values.dtype.newbyteorder("<"), copy=False)
            digest.update(f"{key} {values.dtype.str} {values.shape}\n".encode())
            digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
