"""Several backends side by side: each image is read once, and their vectors are joined."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from cvbow.backends._image_encoder import ImageEncoder
from cvbow.backends.fitting import fit_inside
from cvbow.backends.loading import ImageLike, check_images
from cvbow.backends.shares import ImageShares
from cvbow.encoders import WordTable
from cvbow.errors import ImageError
from cvbow.progress import tracked
from cvbow.storage import storable


@storable
class ChannelUnion(_BaseComposition, ImageEncoder):  # type: ignore[misc]
    """Vectors of several backends, one after the other, from one reading of each image.

    As scikit-learn's ``FeatureUnion``, but the images are read and decoded once for all, those that cannot be read are
    told apart, and it is known which columns are whose: the classifiers "rbf-fusion" and "kernel-ridge" weigh them by
    channel.

    Parameters
    ----------
    channels : sequence of (str, ImageEncoder)
        Names and backends. ``set_params(name__parameter=...)`` reaches into a channel.
    n_jobs, memory : see ``ImageEncoder``

    Attributes
    ----------
    channels_ : list of (str, ImageEncoder)
        The fitted channels.
    skipped_, seconds_ : see ``ImageEncoder``
        Of all channels.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import CensusPyramid, ChannelUnion, Gist
    >>> union = ChannelUnion([("census", CensusPyramid(radii=(1,), grids=("1x1",))), ("gist", Gist())])
    >>> image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    >>> union.fit([image]).channel_slices
    {'census': slice(0, 256, None), 'gist': slice(256, 1408, None)}
    """

    def __init__(
        self, channels: Sequence[tuple[str, ImageEncoder]], *, n_jobs: int | None = None, memory: Any = None
    ) -> None:
        self.channels = channels
        self.n_jobs = n_jobs
        self.memory = memory

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; ``deep`` adds the channels by name, and theirs as ``name__parameter``."""
        parameters: dict[str, Any] = self._get_params("channels", deep=deep)
        return parameters

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters, also those of the channels (``name__parameter``) and channels by name."""
        self._set_params("channels", **parameters)
        return self

    @property
    def vector_length(self) -> int:
        """Length of a vector: the sum of the channels'."""
        check_is_fitted(self, "channels_")
        return sum(encoder.vector_length for _, encoder in self.channels_)

    @property
    def channel_slices(self) -> dict[str, slice]:
        """The columns of each channel, by its name, in the channels' order."""
        check_is_fitted(self, "channels_")
        slices, start = {}, 0
        for name, encoder in self.channels_:
            slices[name] = slice(start, start + encoder.vector_length)
            start = slices[name].stop
        return slices

    def keep(self, channels: Collection[str]) -> Self:
        check_is_fitted(self, "channels_")
        names = [name for name, _ in self.channels_]
        if not channels or not set(channels) <= set(names):
            raise ValueError(f"channels must be of {', '.join(names)}, got {', '.join(channels) or 'none'}")
        kept = copy(self)
        kept.channels = [(name, encoder) for name, encoder in self.channels if name in channels]
        kept.channels_ = [(name, encoder) for name, encoder in self.channels_ if name in channels]
        return kept

    def words_of(self, image: NDArray[np.uint8]) -> dict[str, WordTable]:
        return {
            _joined(name, inner): table
            for name, encoder in self.channels_
            for inner, table in encoder.words_of(image).items()
        }

    @property
    def value_words(self) -> dict[str, NDArray[np.intp]]:
        found: dict[str, NDArray[np.intp]] = {}
        slices = self.channel_slices
        for name, encoder in self.channels_:
            for inner, words in encoder.value_words.items():
                found[_joined(name, inner)] = np.full(self.vector_length, -1, np.intp)
                found[_joined(name, inner)][slices[name]] = np.tile(words, encoder.n_views)
        return found

    def parts(self) -> Sequence[ImageEncoder]:
        """Return the channels."""
        return [encoder for _, encoder in vars(self).get("channels_", self.channels)]

    @property
    def gray_only(self) -> bool:
        """Whether all channels use gray values only."""
        return all(encoder.gray_only for _, encoder in self.channels)

    @property
    def shrinks_to(self) -> int | None:
        """The largest that a channel shrinks images to; None where one does not."""
        sides = [encoder.shrinks_to for encoder in self.parts()]
        return None if None in sides else max(side for side in sides if side is not None)

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        self.check_params()
        images = check_images(images)
        fitted: list[tuple[str, ImageEncoder]] = []
        skipped: dict[str, ImageError] = {}
        times: dict[str, float] = {}
        for name, channel in tracked("channels", self.channels):
            encoder = fit_inside(channel, images, y, n_jobs=self.n_jobs, memory=self.memory)
            fitted.append((name, encoder))
            for error in encoder.skipped_ or ():
                skipped.setdefault(str(error.path), error)
            for step, seconds in (encoder.seconds_ or {}).items():
                times[step] = times.get(step, 0.0) + seconds
        self.channels_ = fitted
        self.skipped_ = list(skipped.values())
        self.seconds_ = times
        return self

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([encoder.encode_image(image) for _, encoder in self.channels_])

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        slices = self.channel_slices
        parts: list[ImageShares] = []
        for name, encoder in self.channels_:
            part = encoder.shares_of(image, weights[:, slices[name]])
            names = [_joined(name, inner) for inner in part.channel.tolist()]
            parts.append(replace(part, channel=np.array(names, np.str_)))
        return ImageShares.joined(parts)

    def without(self, image: NDArray[np.uint8], boxes: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.concatenate([encoder.without(image, boxes) for _, encoder in self.channels_], axis=1)

    def fingerprint(self) -> str:
        check_is_fitted(self, "channels_")
        state = [(name, type(encoder).__name__, encoder.fingerprint()) for name, encoder in self.channels_]
        return str(joblib.hash(state, hash_name="sha1"))

    def check_params(self) -> None:
        _check_channels("channels", self.channels)
        taken = {"channels", "n_jobs", "memory"}
        for name, encoder in self.channels:
            if "__" in name or name in taken:
                raise ValueError(f"a channel's name must not be {', '.join(sorted(taken))} or hold '__', got {name!r}")
            encoder.check_params()

    def check_state(self) -> None:
        super().check_state()
        if "channels_" in vars(self):
            _check_channels("channels_", self.channels_)
            if [name for name, _ in self.channels_] != [name for name, _ in self.channels]:
                raise ValueError("channels_ must have the names of channels")


def _joined(name: str, inner: str) -> str:
    """Return what to call a channel's words: by its name, of a union inside a union by both."""
    return name if inner == "all" else f"{name}/{inner}"


def _check_channels(parameter: str, channels: object) -> None:
    rule = f"{parameter} must be a sequence of pairs (name, backend) with different names"
    if isinstance(channels, (str, bytes)) or not isinstance(channels, Sequence) or not channels:
        raise ValueError(f"{rule}, got {channels!r}")
    for pair in channels:
        fits = isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[0], str)
        if not fits or not isinstance(pair[1], ImageEncoder):
            raise ValueError(f"{rule}, got {pair!r}")
    names = [name for name, _ in channels]
    if len(set(names)) < len(names):
        raise ValueError(f"{rule}, got the names {', '.join(names)}")
