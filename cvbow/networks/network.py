"""What a network answers, whatever it is stored in and whoever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice
from cvbow.networks.preprocessing import Preprocessing


class Network(ABC):
    """A trained network with one image as its input, that is ready to run.

    Attributes
    ----------
    path : Path
        The file with the weights.
    engine : str
        What runs it: opencv, onnxruntime or torch.
    provider : str
        Where that computes.
    digest : str
        SHA-256, in hexadecimal, that no other network or weights have.

    Examples
    --------
    >>> import base64, pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow.networks import open_network
    >>> data = base64.b64decode(  # one rectifier: x (1, 3, 8, 8) to y
    ...     "CAhCBAoAEA06SAoMCgF4EgF5IgRSZWx1WhsKAXgSFgoUCAESEAoCCAEK"
    ...     "AggDCgIICAoCCAhiGwoBeRIWChQIARIQCgIIAQoCCAMKAggICgIICA=="
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny.onnx")
    ...     _ = path.write_bytes(data)
    ...     open_network(path, engine="opencv").run(np.zeros((1, 3, 8, 8), np.float32), "y").shape
    (1, 3, 8, 8)
    """

    path: Path
    engine: str
    provider: str
    digest: str

    @property
    def files(self) -> Sequence[Path]:
        """All files that the network is read from."""
        return (self.path,)

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the layers and outputs that ``run`` can return."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, in the order of the scores; None where they are not known."""
        return None

    @abstractmethod
    def preprocessing(self, given: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing of images; ``given`` overrides what is known, as in ``find_preprocessing``.

        Raises
        ------
        ValueError
            If something is not said anywhere, or breaks its rule.
        """

    @abstractmethod
    def is_probability(self, layer: str) -> bool:
        """Whether the values of a layer are probabilities already, and not the logarithms of odds."""

    @abstractmethod
    def check_input(self, n_channels: int, size: tuple[int, int]) -> None:
        """Raise ValueError unless images of ``n_channels`` and ``size`` (width, height) fit the network's input."""

    @abstractmethod
    def run(self, batch: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        """Return the values of a layer, (n, ...), for a batch (n, n_channels, height, width), both float32.

        ValueError, which lists the choices, if there is no such layer; NetworkError if the engine cannot run the
        network.
        """

    def check_layer(self, layer: str) -> None:
        """Raise ValueError, with the choices, unless the network has a layer of that name."""
        check_choice("layer", layer, self.names)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
