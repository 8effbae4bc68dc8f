"""Vectors from a neural network that was trained elsewhere: the other backend, behind the same calls."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_int
from cvbow.backends._batches import BatchEncoder
from cvbow.backends.loading import ImageLike, check_images
from cvbow.backends.shares import ImageShares, stretched
from cvbow.networks import ENGINES, PROVIDERS, Network, Preprocessing, check_network, open_network, open_same_network
from cvbow.storage import Learned, Number

POOLINGS = ("average", "max", "none")
NORMALIZATIONS = ("l2", "none")
_FACTS = ("size", "channel_order", "mean", "scale", "resize", "shorter_side", "interpolation")


class CnnEncoder(BatchEncoder):
    """The values of one layer of a convolutional network, as the vector of an image.

    The network is one that somebody trained: a file in the ONNX format, or a model of torchvision's; nothing in it is
    learned here. What the pixels must be like is said by a TOML file beside the file, by cvbow for the networks that it
    knows by their SHA-256, by torchvision for its models, or by the arguments: it is never guessed.

    Parameters
    ----------
    network : path, or name
        An ONNX file with one image as its input. Or, where there is no such file, a classification model by
        torchvision's name (needs the extra ``torch``): resnet50, inception_v3, alexnet, vgg19, googlenet, mobilenet
        (that is mobilenet_v3_large), efficientnet (efficientnet_b0), and every other.
    weights : path, name or None, default None
        Of a torchvision model: a file with its state_dict, or which of the official weights ("IMAGENET1K_V1"); None:
        the official ones that torchvision prefers. Official weights are fetched once, into the cache of torch.hub. A
        file is taken to be made for the same input as the official weights, unless a TOML beside it says other.
    layer : str or None, default None
        A layer or output of the network, of a torchvision model also a module, which stands for what comes out of it.
        None: the one that the TOML file names, and of a torchvision model the input of its last layer.
    pooling : {"average", "max", "none"}, default "average"
        Over the places of a feature map (channels first), for layers with more than one value per channel; "none" keeps
        them all.
    normalization : {"l2", "none"}, default "l2"
        Length 1, or the values as they are.
    size : int, (int, int) or None, default None
        Width and height of the network's input. This and the next six: None takes what the file says.
    channel_order : {"rgb", "bgr", "gray"} or None, default None
    mean, scale : float, sequence of float or None, default None
        The input is (pixel - mean) * scale, pixels from 0 to 255, in the network's order of channels.
    resize : {"stretch", "crop"} or None, default None
        To the size, or the shorter side to it and then the middle. None without a file: stretch.
    shorter_side : int or None, default None
        With crop: what the shorter side is brought to, from which the middle is larger than the size.
    interpolation : {"bilinear", "bicubic"} or None, default None
        Pillow's, as Torch's networks are trained with. None without a file: that of ``cvbow.images.resize``.
    engine : {"auto", "opencv", "onnxruntime", "torch"}, default "auto"
        What runs the network; auto: torch for torchvision's models; for a file ONNX Runtime where it is installed.
    provider : str, default "cpu"
        Where it computes: cpu; with torch also cuda; with ONNX Runtime also cuda, tensorrt, directml, openvino, coreml.
    batch_size : int, default 1
        Images that a worker reads and the network takes at once: more pays on a GPU, and a little with Torch. Vectors
        are the same up to rounding. A file that is fixed at one image takes them one by one.
    n_jobs, memory : see ``ImageEncoder``
        Workers are the parallelism: the network itself runs on one thread in each.

    Attributes
    ----------
    network_hash_ : str
        SHA-256 of the network. A model file refuses to answer with another network.
    layer_ : str
    preprocessing_ : dict
        What was found: ``size``, ``channel_order``, ``mean``, ``scale``, ``resize``, and where they hold
        ``shorter_side``, ``interpolation``.
    length_ : int
        Length of a vector.

    Raises
    ------
    FileNotFoundError
        When fitted, if there is no such file.
    NetworkError
        If the file is damaged or does not take one image, or is not the one that the model was trained with; or weights
        cannot be fetched, or are another network's.
    ImportError
        If ONNX Runtime or torchvision is needed and not installed.
    ValueError
        If a parameter breaks its rule; the layers are listed if there is none of that name.

    Notes
    -----
    A. Razavian, H. Azizpour, J. Sullivan and S. Carlsson, "CNN features off-the-shelf: an astounding baseline for
    recognition", CVPR Workshops 2014: a layer of a trained network, at length 1, and a linear SVM.

    Examples
    --------
    >>> import base64, pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow.backends import CnnEncoder
    >>> data = base64.b64decode(  # a network of one rectifier: x (1, 3, 1, 1) to y
    ...     "CAhCBAoAEA06SAoMCgF4EgF5IgRSZWx1WhsKAXgSFgoUCAESEAoCCAEK"
    ...     "AggDCgIIAQoCCAFiGwoBeRIWChQIARIQCgIIAQoCCAMKAggBCgIIAQ=="
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny.onnx")
    ...     _ = path.write_bytes(data)
    ...     backend = CnnEncoder(path, layer="y", size=1, channel_order="rgb", mean=0, scale=1 / 255, engine="opencv")
    ...     vectors = backend.fit_transform([np.full((4, 4, 3), (0, 255, 0), np.uint8)])
    >>> vectors.tolist()
    [[0.0, 1.0, 0.0]]
    """

    learned: ClassVar[Mapping[str, Learned]] = {"length_": Number(integer=True, minimum=1)}

    def __init__(
        self,
        network: str | os.PathLike[str],
        *,
        weights: str | os.PathLike[str] | None = None,
        layer: str | None = None,
        pooling: str = "average",
        normalization: str = "l2",
        size: int | tuple[int, int] | None = None,
        channel_order: str | None = None,
        mean: float | tuple[float, ...] | None = None,
        scale: float | tuple[float, ...] | None = None,
        resize: str | None = None,
        shorter_side: int | None = None,
        interpolation: str | None = None,
        engine: str = "auto",
        provider: str = "cpu",
        batch_size: int = 1,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.network = network
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.normalization = normalization
        self.size = size
        self.channel_order = channel_order
        self.mean = mean
        self.scale = scale
        self.resize = resize
        self.shorter_side = shorter_side
        self.interpolation = interpolation
        self.engine = engine
        self.provider = provider
        self.batch_size = batch_size
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
        """Open the network and find its preprocessing and its layer; nothing is learned from the images."""
        self.check_params()
        check_images(images)
        network = open_network(self.network, weights=self.weights, engine=self.engine, provider=self.provider)
        found = network.preprocessing({name: getattr(self, name) for name in _FACTS})
        layer = self.layer if self.layer is not None else found.layer
        if layer is None:
            raise ValueError(f"layer must be given, as no file names one; choose among {', '.join(network.names)}")
        network.check_layer(layer)
        network.check_input(found.n_channels, found.size)
        self.network_hash_ = network.digest
        self.layer_ = layer
        self.preprocessing_ = {key: value for key, value in found.as_dict().items() if key != "layer"}
        width, height = found.size
        self.length_ = self._values(network, self._input(np.zeros((height, width), np.uint8))[None]).shape[1]
        return self

    @property
    def network_files(self) -> frozenset[Path]:
        """The files with the network and its weights, which no model file holds; NotFittedError before ``fit``."""
        return frozenset(self.opened_network.files)

    @property
    def network_hashes(self) -> frozenset[str]:
        """The network's SHA-256; NotFittedError before ``fit``."""
        check_is_fitted(self, "network_hash_")
        return frozenset([self.network_hash_])

    def _input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return Preprocessing.from_dict(self.preprocessing_).prepare(image)

    def _vectors(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors = self._values(self.opened_network, inputs)
        if self.normalization == "l2":
            lengths = np.array([np.linalg.norm(vector) for vector in vectors], np.float32)[:, None]
            np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors

    def _values(self, network: Network, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        values = network.run(inputs, self.layer_)
        if values.ndim > 2 and self.pooling != "none":
            places = values.reshape(*values.shape[:2], -1)
            values = places.mean(axis=2) if self.pooling == "average" else places.max(axis=2)
        return np.array(values.reshape(len(inputs), -1), np.float32)

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        """Tell what each place of a feature map gave; of a layer without places, what leaving out parts takes away.

        B. Zhou et al., "Learning deep features for discriminative localization", CVPR 2016: class activation maps.
        """
        facts = Preprocessing.from_dict(self.preprocessing_)
        values = np.asarray(self.opened_network.run(facts.prepare(image)[None], self.layer_), np.float64)
        height, width = image.shape[:2]
        between, corner = facts.frame(width, height)
        if values.ndim != 4 or min(corner) < 0:
            return super().shares_of(image, weights)
        channels, rows, columns = values.shape[1:]
        places = values.reshape(channels, -1)
        # What each place gives to each value of the vector before its normalisation.
        if self.pooling == "max":
            highest = places == places.max(axis=1, keepdims=True)
            places = places * highest / highest.sum(axis=1, keepdims=True)
        elif self.pooling == "average":
            places = places / places.shape[1]
        length = np.linalg.norm(places if self.pooling == "none" else places.sum(axis=1))
        if self.normalization == "l2" and length > 0:
            places = places / length
        maps = (weights.reshape(len(weights), channels, -1) * places).sum(axis=1).reshape(-1, rows, columns)
        # The part of the image that the network sees.
        left, right = _span(corner[0], facts.size[0], width / between[0], width)
        top, bottom = _span(corner[1], facts.size[1], height / between[1], height)
        pixels = np.zeros((len(weights), height, width))
        pixels[:, top:bottom, left:right] = stretched(maps, (bottom - top, right - left))
        return ImageShares.of_pixels(pixels)

    @property
    def opened_network(self) -> Network:
        """The network, ready to run; NotFittedError before ``fit``, NetworkError if it is not there any more."""
        check_is_fitted(self, "network_hash_")
        return open_same_network(
            self.network, self.network_hash_, weights=self.weights, engine=self.engine, provider=self.provider
        )

    def fingerprint(self) -> str:
        check_is_fitted(self, "network_hash_")
        state = (self.network_hash_, self.layer_, self.preprocessing_, self.pooling, self.normalization)
        # Engines agree up to rounding, which is not enough for a cache of exact vectors.
        return str(joblib.hash((*state, self.opened_network.engine, self.provider, self.batch_size), hash_name="sha1"))

    def check_params(self) -> None:
        check_network(self.network, self.weights, self.layer)
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)
        check_choice("engine", self.engine, ENGINES)
        check_choice("provider", self.provider, PROVIDERS)
        check_int("batch_size", self.batch_size, minimum=1)

    def check_state(self) -> None:
        super().check_state()
        if "length_" in vars(self):
            digest, layer, facts = (vars(self).get(name) for name in ("network_hash_", "layer_", "preprocessing_"))
            if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
                raise ValueError(f"network_hash_ must be 64 hexadecimal digits, got {digest!r}")
            if not isinstance(layer, str) or not isinstance(facts, dict):
                raise ValueError("layer_ must be a text and preprocessing_ a dict")
            Preprocessing.from_dict(facts)


def _span(first: int, side: int, scale: float, length: int) -> tuple[int, int]:
    """Return where the pixels of an image begin and end that the network's input stands for, along one axis."""
    start = min(round(first * scale), length - 1)
    return start, min(max(round((first + side) * scale), start + 1), length)
