"""Networks that cvbow knows by name: which file each is, by its SHA-256, and where it lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from cvbow._toml import TEXT, TomlTable, bundled
from cvbow.errors import NetworkError
from cvbow.networks.locating import NETWORKS


def known_networks() -> tuple[str, ...]:
    """Return the names of the networks whose preprocessing comes with cvbow.

    Examples
    --------
    >>> from cvbow.networks import known_networks
    >>> known_networks()[:2]
    ('mobilenet-v1-0.75', 'squeezenet1.1')
    """
    return tuple(bundled("datasets/networks"))


def find_known_network(name: str) -> Path:
    """Return the file of a network that cvbow knows, in the folder that CVBOW_NETWORKS names.

    Parameters
    ----------
    name : str
        One of ``known_networks()``.

    Raises
    ------
    NetworkError
        If the file is not there; whether it is the right one is seen when it is opened, by its SHA-256.
    ValueError
        If cvbow knows no network of that name.
    """
    files = bundled("datasets/networks")
    if name not in files:
        raise ValueError(f"network must be one of {', '.join(files)}, got {name!r}")
    file = str(TomlTable.read(files[name]).take("file", TEXT))
    folder = os.environ.get(NETWORKS)
    if not folder or not (Path(folder) / file).exists():
        raise NetworkError(name, f"the network is the file {file}; {NETWORKS} must name a folder that has it")
    return Path(folder) / file
