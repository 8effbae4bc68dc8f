"""From a path or a name to a network that runs."""

from __future__ import annotations

import os

from cvbow._checks import check_choice
from cvbow.networks.engines import ONNX_ENGINES, PROVIDERS, open_onnx
from cvbow.networks.network import Network
from cvbow.networks.torchvision_models import is_model_name, open_torchvision

ENGINES = (*ONNX_ENGINES, "torch")


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
