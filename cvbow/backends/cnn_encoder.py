"""Vectors from a neural network that was trained elsewhere: the other backend, behind the same calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice
from cvbow.backends._image_encoder import ImageEncoder, ImageLike, check_images
from cvbow.errors import NetworkError
from cvbow.networks import ENGINES, NETWORKS, PROVIDERS, OnnxNetwork, Preprocessing, find_preprocessing, open_network

__all__ = ["CnnEncoder"]

POOLINGS = ("average", "max", "none")
NORMALIZATIONS = ("l2", "none")


class CnnEncoder(ImageEncoder):
    """The values of one layer of a convolutional network, as the vector of an image.

    The network is a file that somebody trained, in the ONNX format; nothing in it is learned here. What the pixels must
    be like is said by a TOML file beside it, by cvbow for the networks that it knows by their SHA-256, or by the
    arguments: it is never guessed.

    Parameters
    ----------
    network : path
        An ONNX file with one image as its input.
    layer : str or None, default None
        A layer or output of the network; None: the one that the TOML file names.
    pooling : {"average", "max", "none"}, default "average"
        Over the places of a feature map, for layers with more than one value per channel; "none" keeps them all.
    normalization : {"l2", "none"}, default "l2"
        Length 1, or the values as they are.
    size : int, (int, int) or None, default None
        Width and height of the network's input. This and the next four: None takes what the file says.
    channel_order : {"rgb", "bgr", "gray"} or None, default None
    mean, scale : float, sequence of float or None, default None
        The input is (pixel - mean) * scale, pixels from 0 to 255, in the network's order of channels.
    resize : {"stretch", "crop"} or None, default None
        To the size, or the shorter side to it and then the middle. None without a file: stretch.
    engine : {"auto", "opencv", "onnxruntime"}, default "auto"
        What runs the network; auto: ONNX Runtime where it is installed.
    provider : str, default "cpu"
        Where ONNX Runtime computes: cpu, cuda, tensorrt, directml, openvino or coreml.
    n_jobs : int or None, default None
        Workers, by joblib's convention. They are the parallelism: the network itself runs on one thread in each.
    memory : str, path, joblib.Memory or None, default None
        Where to cache the vectors.

    Attributes
    ----------
    network_hash_ : str
        SHA-256 of the network. A model file refuses to answer with another network.
    layer_ : str
    preprocessing_ : dict
        What was found: ``size``, ``channel_order``, ``mean``, ``scale``, ``resize``.
    length_ : int
        Length of a vector.

    Raises
    ------
    FileNotFoundError
        When fitted, if there is no such file.
    NetworkError
        If the file is damaged or does not take one image, or is not the one that the model was trained with.
    ValueError
        If a parameter breaks its rule; the layers are listed if there is none of that name.

    Notes
    -----
    A. Razavian, H. Azizpour, J. Sullivan and S. Carlsson, "CNN features off-the-shelf: an astounding baseline for
    recognition", CVPR Workshops 2014: a layer of a trained network, at length 1, and a linear SVM.
    """

    _transient = {"n_jobs": None, "memory": None}  # noqa: RUF012

    def __init__(
        self,
        network: str | os.PathLike[str],
        *,
        layer: str | None = None,
        pooling: str = "average",
        normalization: str = "l2",
        size: int | tuple[int, int] | None = None,
        channel_order: str | None = None,
        mean: float | tuple[float, ...] | None = None,
        scale: float | tuple[float, ...] | None = None,
        resize: str | None = None,
        engine: str = "auto",
        provider: str = "cpu",
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.network = network
        self.layer = layer
        self.pooling = pooling
        self.normalization = normalization
        self.size = size
        self.channel_order = channel_order
        self.mean = mean
        self.scale = scale
        self.resize = resize
        self.engine = engine
        self.provider = provider
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        """Length of a vector."""
        check_is_fitted(self, "length_")
        return int(self.length_)

    @property
    def gray_only(self) -> bool:
        """Whether the network's input is gray; before ``fit``, as far as the arguments tell."""
        found = vars(self).get("preprocessing_", {"channel_order": self.channel_order})
        return bool(found["channel_order"] == "gray")

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Open the network and settle what goes into it and what comes out; the images teach it nothing."""
        self._validate()
        check_images(images)
        network = open_network(self.network, engine=self.engine, provider=self.provider)
        names = ("size", "channel_order", "mean", "scale", "resize")
        given = {name: getattr(self, name) for name in names}
        found = find_preprocessing(network.path, network.digest, given)
        layer = self.layer if self.layer is not None else found.layer
        if layer is None:
            raise ValueError(f"layer must be named, as no file says it; it is one of {', '.join(network.graph.names)}")
        network.check_layer(layer)
        network.check_input(found.n_channels, found.size)
        self.network_hash_ = network.digest
        self.layer_ = layer
        self.preprocessing_ = {key: value for key, value in found.as_dict().items() if key != "layer"}
        width, height = found.size
        self.length_ = len(self._values(network, np.zeros((height, width), np.uint8)))
        return self

    def _vector(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector = self._values(self._network(), image)
        if self.normalization == "l2":
            length = np.linalg.norm(vector)
            vector = vector / length if length > 0 else vector
        return vector

    def _values(self, network: OnnxNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        facts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in self.preprocessing_.items()
        }
        (values,) = network.run(Preprocessing(**facts).prepare(image)[None], self.layer_)
        if values.ndim > 1 and self.pooling != "none":
            places = values.reshape(len(values), -1)
            values = places.mean(axis=1) if self.pooling == "average" else places.max(axis=1)
        return np.asarray(values.ravel(), np.float32)

    def _network(self) -> OnnxNetwork:
        check_is_fitted(self, "network_hash_")
        network = open_network(self._path(), engine=self.engine, provider=self.provider)
        if network.digest != self.network_hash_:
            raise NetworkError(
                network.path,
                f"not the network that was learned with: its SHA-256 is {network.digest[:12]}…, not "
                f"{self.network_hash_[:12]}…",
            )
        return network

    def _path(self) -> Path:
        path = Path(self.network)
        folder = os.environ.get(NETWORKS)
        if not path.exists() and folder and (Path(folder) / path.name).exists():
            return Path(folder) / path.name
        if not path.exists():
            raise NetworkError(path, f"the network is not there; {NETWORKS} may name a folder that has it")
        return path

    def _state_hash(self) -> str:
        check_is_fitted(self, "network_hash_")
        state = (self.network_hash_, self.layer_, self.preprocessing_, self.pooling, self.normalization)
        # Engines agree up to rounding, which is not enough for a cache of exact vectors.
        return str(joblib.hash((*state, self._network().engine, self.provider), hash_name="sha1"))

    def _validate(self) -> None:
        if not isinstance(self.network, str | os.PathLike):
            raise ValueError(f"network must be the path of an ONNX file, got {self.network!r}")
        if self.layer is not None and not isinstance(self.layer, str):
            raise ValueError(f"layer must be a name or None, got {self.layer!r}")
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)
        check_choice("engine", self.engine, ENGINES)
        check_choice("provider", self.provider, PROVIDERS)

    def _validate_state(self) -> None:
        self._validate()
