"""Backends by name."""

from __future__ import annotations

from cvbow.backends._image_encoder import ImageEncoder
from cvbow.backends.bag_encoder import BagEncoder
from cvbow.backends.census import CensusPyramid
from cvbow.backends.cnn_encoder import CnnEncoder
from cvbow.backends.color_histogram import ColorHistogram
from cvbow.backends.gist import Gist
from cvbow.backends.raw_pixels import RawPixels
from cvbow.registry import Registry

#: Every backend of one kind of vector, as ``channels`` of a recipe; ``ChannelUnion``, ``MultiCrop`` and ``Shortened``
#: are made of others.
#: A recipe gives each channel of local features a backend of its own, with other features in "color" than in "local".
BACKENDS: Registry[type[ImageEncoder]] = Registry(
    "channels",
    ImageEncoder,
    {
        "local": BagEncoder,
        "color": BagEncoder,
        "census": CensusPyramid,
        "gist": Gist,
        "colors": ColorHistogram,
        "pixels": RawPixels,
        "cnn": CnnEncoder,
    },
    defines=("fit", "vector_length", "encode_image", "fingerprint"),
)
