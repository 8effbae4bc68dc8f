"""From a path or a name to a network that runs, and to the same one again: that which a model was trained with.

A model file holds the path of its network and the network's SHA-256, not the network. On another machine the file may
lie elsewhere, and what lies at its path may be another.
"""

from __future__ import annotations

import os
from pathlib import Path

from cvbow._checks import check_choice
from cvbow._toml import TEXT, TomlTable, bundled
from cvbow.errors import NetworkError
from cvbow.networks._torch_weights import is_entry_name
from cvbow.networks.engines import ONNX_ENGINES, PROVIDERS, open_onnx
from cvbow.networks.network import Network
from cvbow.networks.torchvision_models import is_model_name, open_torchvision

ENGINES = (*ONNX_ENGINES, "torch")
#: The environment variable that names a folder, in which networks are looked for that are no longer where they were.
NETWORKS = "CVBOW_NETWORKS"


def open_network(
    network: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    provider: str = "cpu",
) -> Network:
    """Open an ONNX file, or one of torchvision's models.

    Parameters
    ----------
    network : path, or name
        A file, or what torchvision calls a model, such as ``"resnet50"``, where there is no file of that name.
    weights : path, name or None, default None
        Of a torchvision model: a file, or which of the official weights, such as ``"IMAGENET1K_V1"``; None for those
        that torchvision prefers. Official weights are fetched once, into the cache of ``torch.hub``.
    engine : {"auto", "opencv", "onnxruntime", "torch"}, default "auto"
        auto: torch for torchvision's models; for a file ONNX Runtime where it is installed, otherwise OpenCV. They
        agree up to rounding.
    provider : str, default "cpu"
        Where it computes: cpu; with torch also cuda; with ONNX Runtime also cuda, tensorrt, directml, openvino, coreml.

    Raises
    ------
    FileNotFoundError
    ImportError
        If ONNX Runtime or torchvision is needed and not installed.
    NetworkError
        If the file is not a network, or not one with a single image as its input; or weights cannot be fetched, are
        damaged, or are another network's.
    ValueError
        If an option breaks its rule.
    """
    check_choice("engine", engine, ENGINES)
    check_choice("provider", provider, PROVIDERS)
    if is_model_name(network):
        if engine not in ("auto", "torch"):
            raise ValueError(f"engine must be auto or torch for the torchvision model {network}, got {engine!r}")
        return open_torchvision(os.fspath(network), weights=weights, provider=provider)
    if weights is not None:
        raise ValueError(f"weights go with the name of a torchvision model, got {os.fspath(weights)!r} with {network}")
    return open_onnx(network, engine=engine, provider=provider)


def check_network(network: object, weights: object, layer: object) -> None:
    """Raise ValueError unless these can be a network, and its weights and layer or None."""
    if not isinstance(network, str | os.PathLike):
        raise ValueError(f"network must be the path of an ONNX file or a torchvision model's name, got {network!r}")
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise ValueError(f"weights must be a path, a name or None, got {weights!r}")
    if layer is not None and not isinstance(layer, str):
        raise ValueError(f"layer must be a name or None, got {layer!r}")


def locate_network(network: str | os.PathLike[str]) -> Path:
    """Return where a network is: at its path, or under the same name in the folder that CVBOW_NETWORKS names.

    NetworkError if it is at neither.
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
    """Open the network that a model was trained with; NetworkError if it is not found, or is another.

    ``network`` is where it was then, or which torchvision model, and ``digest`` its SHA-256, in hexadecimal.
    ``weights``, ``engine`` and ``provider`` are those of ``open_network``; a file of weights is looked for as a network
    is.
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
    """Return the file of one of ``known_networks()``, in the folder that CVBOW_NETWORKS names.

    NetworkError if the file is not there; whether it is the right one is seen when it is opened, by its SHA-256.
    ValueError if cvbow knows no network of that name.
    """
    files = bundled("datasets/networks")
    if name not in files:
        raise ValueError(f"network must be one of {', '.join(files)}, got {name!r}")
    file = str(TomlTable.read(files[name]).take("file", TEXT))
    folder = os.environ.get(NETWORKS)
    if not folder or not (Path(folder) / file).exists():
        raise NetworkError(name, f"the network is the file {file}; {NETWORKS} must name a folder that has it")
    return Path(folder) / file
