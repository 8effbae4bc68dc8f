"""The cells of a convolutional network's feature map as local features, for words, VLAD and Fisher vectors.

M. Cimpoi, S. Maji and A. Vedaldi, "Deep filter banks for texture recognition and segmentation", CVPR 2015: the last
convolutional layer as a bank of filters, whose answers at each place are pooled without their order.
J. Ng, F. Yang and L. Davis, "Exploiting local features from deep networks for image retrieval", CVPR Workshops 2015.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow._checks import check_choice
from cvbow.features._descriptor import unit_length
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features, grid_points
from cvbow.networks import ENGINES, PROVIDERS, Network, Preprocessing, check_network, open_network, open_same_network

NORMALIZATIONS = ("l2", "root", "none")
_NEEDED = {"size", "channel_order", "mean", "scale"}


class CnnFeatureMap(Extractor):
    """Each cell of a feature map is a descriptor at its place: one value per channel.

    The network is one that somebody trained; nothing in it is learned here. What the pixels must be like is said by a
    TOML file beside it, by cvbow for the networks that it knows by their SHA-256, by torchvision for its models, or by
    the arguments: it is never guessed.

    Parameters
    ----------
    network : path, or name
        An ONNX file with one image as its input, or the name of a torchvision model; see ``CnnEncoder``.
    layer : str
        A layer with values (channels, height, width): the last convolution or what follows it, as a rule. There is no
        default; the layers are listed where there is none of that name.
    size, channel_order, mean, scale, resize : default None
        What the pixels must be like; see ``CnnEncoder``. With ``resize="crop"`` nothing is described outside of the
        middle of the image.
    weights : path, name or None, default None
        Of a torchvision model; see ``CnnEncoder``.
    normalization : {"l2", "root", "none"}, default "l2"
        Of a descriptor: length 1, as NetVLAD has it (Arandjelovic et al., CVPR 2016); the root of its share of the sum
        of all, with its sign, as in RootSIFT; or the values as they are, as in Cimpoi et al.
    engine, provider : str, default "auto" and "cpu"
        What runs the network, and where that computes; see ``CnnEncoder``.
    network_hash : str or None, default None
        SHA-256 of the network, in hexadecimal: another one is refused. None takes what is there. ``settled`` fills it
        in, and ``BagEncoder`` keeps a settled extractor, so that a model holds all that it needs to answer.
    preprocessing : dict or None, default None
        All that is to be done to an image, as ``settled`` found it; it goes before ``size`` and the other arguments.

    Raises
    ------
    FileNotFoundError
        When used, if there is no such file and ``network_hash`` is None.
    NetworkError
        If the file is damaged or does not take one image, or is not the network of ``network_hash``.
    ValueError
        If a parameter breaks its rule, or the layer has no places.

    Notes
    -----
    Points come row by row. The cells of a map are taken to tile the network's input; a point lies in the middle of its
    cell, ``size`` is the root of the cell's area in pixels of the image, and ``angle`` is -1. What a cell has seen, its
    receptive field, is larger, often several times, and in networks that do not pad their input lies nearer to the
    middle of the image, by less than a cell in common ones.

    Features of a mirrored image do not follow from those of the image, as the filters are not symmetric.

    Examples
    --------
    >>> from cvbow import BagEncoder, VLAD
    >>> from cvbow.features import CnnFeatureMap
    >>> backend = BagEncoder(CnnFeatureMap("resnet50", "layer3"), VLAD())  # then backend.fit(images)
    """

    # A network has an input of its own size.
    min_side = None
    max_side = None

    def __init__(
        self,
        network: str | os.PathLike[str],
        layer: str,
        *,
        size: int | tuple[int, int] | None = None,
        channel_order: str | None = None,
        mean: float | tuple[float, ...] | None = None,
        scale: float | tuple[float, ...] | None = None,
        resize: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        normalization: str = "l2",
        engine: str = "auto",
        provider: str = "cpu",
        network_hash: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.layer = layer
        self.size = size
        self.channel_order = channel_order
        self.mean = mean
        self.scale = scale
        self.resize = resize
        self.weights = weights
        self.normalization = normalization
        self.engine = engine
        self.provider = provider
        self.network_hash = network_hash
        self.preprocessing = preprocessing

    @property
    def gray_only(self) -> bool:  # type: ignore[override]
        """Whether the network's input is gray, as far as the arguments tell."""
        said = self.channel_order if self.preprocessing is None else self.preprocessing.get("channel_order")
        return said == "gray"

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor: channels of the layer. Opens the network."""
        network, facts = self._opened()
        return _map_shape(network, self.layer, facts.n_channels, facts.size)[0]

    def settled(self) -> CnnFeatureMap:
        """Return a copy that holds what files say: the network's SHA-256 and its preprocessing.

        Raises
        ------
        FileNotFoundError, NetworkError, ValueError
            As the class says.
        """
        self.check_params()
        network, facts = self._opened()
        network.check_layer(self.layer)
        network.check_input(facts.n_channels, facts.size)
        _map_shape(network, self.layer, facts.n_channels, facts.size)
        found = {key: value for key, value in facts.as_dict().items() if key != "layer"}
        copy: CnnFeatureMap = clone(self).set_params(network_hash=network.digest, preprocessing=found)
        return copy

    def fingerprint(self) -> object:
        network, facts = self._opened()
        # Wherever the network lies; and engines agree up to rounding, which is not enough for a cache.
        what = network.digest, self.layer, facts.as_dict(), self.normalization
        return type(self).__name__, *what, network.engine, network.provider

    def _opened(self) -> tuple[Network, Preprocessing]:
        options: dict[str, Any] = {"weights": self.weights, "engine": self.engine, "provider": self.provider}
        if self.network_hash is None:
            network = open_network(self.network, **options)
        else:
            network = open_same_network(self.network, self.network_hash, **options)
        if self.preprocessing is None:
            names = ("size", "channel_order", "mean", "scale", "resize")
            return network, network.preprocessing({name: getattr(self, name) for name in names})
        return network, Preprocessing.from_dict(self.preprocessing)

    def check_params(self) -> None:
        super().check_params()
        check_network(self.network, self.weights, self.layer)
        if self.network_hash is not None and not isinstance(self.network_hash, str):
            raise ValueError(f"network_hash must be a SHA-256 in hexadecimal or None, got {self.network_hash!r}")
        known = {field.name for field in dataclasses.fields(Preprocessing)}
        if self.preprocessing is not None and not (
            isinstance(self.preprocessing, Mapping) and _NEEDED <= set(self.preprocessing) <= known
        ):
            raise ValueError(f"preprocessing must be a dict as settled() makes it, or None, got {self.preprocessing!r}")
        check_choice("normalization", self.normalization, NORMALIZATIONS)
        check_choice("engine", self.engine, ENGINES)
        check_choice("provider", self.provider, PROVIDERS)

    def compute(self, image: NDArray[np.uint8]) -> Features:
        if self.network_hash is None or self.preprocessing is None:
            return self.settled().compute(image)
        network, facts = self._opened()
        (values,) = network.run(facts.prepare(image)[None], self.layer)
        points = _places(image.shape, facts, *values.shape[1:])
        descriptors = np.ascontiguousarray(values.reshape(len(values), -1).T)
        return Features(points, self._normalized(descriptors), (image.shape[1], image.shape[0]))

    def _normalized(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.normalization == "l2":
            return unit_length(descriptors)
        if self.normalization == "root":
            total = np.abs(descriptors).sum(axis=1, keepdims=True)
            shares = np.divide(descriptors, total, out=np.zeros_like(descriptors), where=total > 0)
            return np.asarray(np.copysign(np.sqrt(np.abs(shares)), shares), np.float32)
        return descriptors


@functools.lru_cache(maxsize=32)
def _map_shape(network: Network, layer: str, n_channels: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return the channels, rows and columns of a layer; ValueError if it has no places."""
    values = network.run(np.zeros((1, n_channels, size[1], size[0]), np.float32), layer)
    if values.ndim != 4 or len(values) != 1 or values[0, 0].size < 2:
        raise ValueError(
            f"layer must be a feature map, with values (channels, height, width) and more than one place; "
            f"{layer!r} has {values.shape[1:]}"
        )
    _, channels, rows, columns = values.shape
    return channels, rows, columns


def _places(shape: tuple[int, ...], facts: Preprocessing, rows: int, columns: int) -> NDArray[np.float32]:
    """Return the points of a map's cells, row by row, in the coordinates of an image of the given shape."""
    between, corner = facts.frame(shape[1], shape[0])
    x, cell_width = _along(shape[1], facts.size[0], between[0], corner[0], columns)
    y, cell_height = _along(shape[0], facts.size[1], between[1], corner[1], rows)
    return grid_points(x, y, np.sqrt(cell_width * cell_height), -1)


def _along(length: int, side: int, between: int, first: int, n: int) -> tuple[NDArray[Any], float]:
    """Return the middles of n cells along one axis of an image, and the length of a cell; see ``Preprocessing.frame``.

    ``length`` is the image's along the axis, ``side`` the network's.
    """
    # From edge to edge: pixel centres sit at integers, so the image's edge, at -1/2, is what scales onto itself.
    scale = length / between
    return (first + (np.arange(n) + 0.5) * (side / n)) * scale - 0.5, side / n * scale
