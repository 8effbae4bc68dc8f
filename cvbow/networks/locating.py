"""Finding a network again: the file that a model was trained with, and no other.

A model file holds the path of its network and the network's SHA-256, not the network. On another machine the file may
lie elsewhere, and what lies at its path may be another.
"""

from __future__ import annotations

import os
from pathlib import Path

from cvbow.errors import NetworkError
from cvbow.networks._torch_weights import is_entry_name
from cvbow.networks.network import Network
from cvbow.networks.opening import open_network
from cvbow.networks.torchvision_models import is_model_name

#: The environment variable that names a folder, in which networks are looked for that are no longer where they were.
NETWORKS = "CVBOW_NETWORKS"


def check_network(network: object) -> None:
    """Raise ValueError unless ``network`` can be the path or the name of a network."""
    if not isinstance(network, str | os.PathLike):
        raise ValueError(f"network must be the path of an ONNX file or a torchvision model's name, got {network!r}")


def locate_network(network: str | os.PathLike[str]) -> Path:
    """Return where a network is: at its path, or under the same name in the folder that CVBOW_NETWORKS names.

    Parameters
    ----------
    network : path

    Raises
    ------
    NetworkError
        If it is at neither.
    """
    path = Path(network)
    folder = os.environ.get(NETWORKS)
    if not path.exists() and folder and (Path(folder) / path.name).exists():
        return Path(folder) / path.name
    if not path.exists():
        raise NetworkError(path, f"the network is not there; {NETWORKS} may name a folder that has it")
    return path


def open_same_network(
    network: str | os.PathLike[str],
    digest: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    provider: str = "cpu",
) -> Network:
    """Open the network that a model was trained with.

    Parameters
    ----------
    network : path, or name
        Where it was then, or which torchvision model.
    digest : str
        Its SHA-256, in hexadecimal.
    weights : path, name or None
        Of a torchvision model; a file is looked for as a network is.
    engine, provider : str
        As for ``open_network``.

    Raises
    ------
    NetworkError
        If it is not found, or is another.
    """
    if not is_model_name(network):
        network = locate_network(network)
    elif weights is not None and not is_entry_name(weights):
        weights = locate_network(weights)
    found = open_network(network, weights=weights, engine=engine, provider=provider)
    if found.digest != digest:
        raise NetworkError(
            found.path,
            f"not the network that the model was trained with: its SHA-256 is {found.digest[:12]}…, not {digest[:12]}…",
        )
    return found
