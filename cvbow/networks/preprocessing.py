"""How an image becomes the input of a network: said by whoever made the network, never guessed.

A network that is fed with pixels of another order, mean or scale answers all the same, only worse. So the facts come
from a TOML file beside the network, from the table of networks that cvbow knows by their SHA-256, or from arguments;
and where none of these tells, nothing is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow._toml import COUNT, Rule, TomlTable, bundled
from cvbow.images import from_gray, resize, to_gray

CHANNEL_ORDERS = ("rgb", "bgr", "gray")
#: stretch: to the size, whatever the shape; crop: the shorter side to the size, or to a length of its own, and then the
#: middle.
RESIZES = ("stretch", "crop")
#: Pillow's, which weigh all pixels that a smaller one covers; and what they are called there.
INTERPOLATIONS = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 pixels to the input of a network: resize, order of channels, ``(pixels - mean) * scale``.

    Attributes
    ----------
    size : (int, int)
        Width and height of the input.
    channel_order : {"rgb", "bgr", "gray"}
    mean : tuple of float
        Taken off each channel, in the network's order of channels; in units of pixels, 0 to 255.
    scale : tuple of float
        Each channel is multiplied by it afterwards.
    resize : {"stretch", "crop"}
    layer : str or None
        The layer whose values describe an image, where the file says so.
    shorter_side : int or None
        With crop: the length that the shorter side gets before the middle of ``size`` is cut out, at least that size;
        None: as short as the size allows.
    interpolation : {"bilinear", "bicubic"} or None
        Pillow's, which Torch's networks are trained with; None: that of ``cvbow.images.resize``.

    Raises
    ------
    ValueError
        If a value breaks its rule.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.networks import Preprocessing
    >>> inception = Preprocessing((64, 64), "rgb", mean=(128, 128, 128), scale=(1 / 128,) * 3, resize="crop")
    >>> planes = inception.prepare(np.full((100, 200, 3), 255, np.uint8))
    >>> planes.shape, round(float(planes.max()), 3)
    ((3, 64, 64), 0.992)
    """

    size: tuple[int, int]
    channel_order: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    resize: str = "stretch"
    layer: str | None = None
    shorter_side: int | None = None
    interpolation: str | None = None

    def __post_init__(self) -> None:
        check_choice("channel_order", self.channel_order, CHANNEL_ORDERS)
        check_choice("resize", self.resize, RESIZES)
        if len(self.size) != 2:
            raise ValueError(f"size must be a width and a height, got {self.size!r}")
        for side in self.size:
            check_int("size", side, minimum=1)
        check_int("shorter_side", self.shorter_side, minimum=1, none=True)
        if self.shorter_side is not None and self.resize != "crop":
            raise ValueError(f"shorter_side goes with the resize crop, got {self.shorter_side} with {self.resize!r}")
        if self.shorter_side is not None and self.shorter_side < max(self.size):
            sides = "x".join(map(str, self.size))
            raise ValueError(f"shorter_side must be at least the size, {sides}, got {self.shorter_side}")
        if self.interpolation is not None:
            check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        for name in ("mean", "scale"):
            values = getattr(self, name)
            if len(values) != self.n_channels or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {self.n_channels} numbers, one for a channel, got {values!r}")

    @property
    def n_channels(self) -> int:
        """Channels of the input: 3, or 1 for gray."""
        return 1 if self.channel_order == "gray" else 3

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's input, (n_channels, height, width) float32, for a gray or RGB image, uint8."""
        image = (to_gray if self.channel_order == "gray" else from_gray)(image, floats=False)
        (width, height), (between, (left, top)) = self.size, self.frame(image.shape[1], image.shape[0])
        pixels = self._resized(image, between)[top : top + height, left : left + width]
        pixels = pixels.reshape(height, width, self.n_channels)
        if self.channel_order == "bgr":
            pixels = pixels[..., ::-1]
        planes = np.asarray(pixels.transpose(2, 0, 1), np.float32, order="C")
        planes -= np.array(self.mean, np.float32)[:, None, None]
        planes *= np.array(self.scale, np.float32)[:, None, None]
        return planes

    def frame(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size that an image of a width and height is brought to, and where the input lies in that.

        Both are pairs of int: width and height, left and top.
        """
        if self.resize == "stretch":
            return self.size, (0, 0)
        if self.shorter_side is None:
            factor = max(self.size[0] / width, self.size[1] / height)
            between = max(self.size[0], round(width * factor)), max(self.size[1], round(height * factor))
            return between, ((between[0] - self.size[0]) // 2, (between[1] - self.size[1]) // 2)
        # Rounded as torchvision does, here and in the middle, so that its networks see what they were trained on.
        shorter = min(width, height)
        between = self.shorter_side * width // shorter, self.shorter_side * height // shorter
        return between, (round((between[0] - self.size[0]) / 2), round((between[1] - self.size[1]) / 2))

    def _resized(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        if self.interpolation is None:
            return resize(image, size)
        from PIL import Image

        method = Image.Resampling[INTERPOLATIONS[self.interpolation]]
        # Pillow weighs along one axis after the other and rounds in between; since version 13 the sizes tell it which
        # axis comes first. Here it is always the width, as in the versions before.
        narrowed = Image.fromarray(np.ascontiguousarray(image)).resize((size[0], image.shape[0]), method)
        return np.asarray(narrowed.resize(size, method))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Rebuild it from what ``as_dict`` returned, also after a way through JSON or a model file."""
        facts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**facts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON and for a model file; what is None in most networks only where it is not."""
        found = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {key: value for key, value in found.items() if value is not None or key == "layer"}


def find_preprocessing(
    path: Path, digest: str, given: Mapping[str, Any], *, otherwise: Mapping[str, Any] | None = None
) -> Preprocessing:
    """Return the preprocessing of a network.

    Parameters
    ----------
    path : Path
        The network's file; ``NAME.toml`` beside ``NAME.onnx`` is read where there is one.
    digest : str
        SHA-256 of the network, in hexadecimal: what cvbow knows it by.
    given : mapping
        Attributes of ``Preprocessing`` that go before what a file says; None stands for not given. ``size``, ``mean``
        and ``scale`` may be single numbers. A file's ``shorter_side`` belongs to its size: where another size or
        resize is given, it does not hold.
    otherwise : mapping, optional
        What holds where no file says anything: attributes of ``Preprocessing``.

    Raises
    ------
    ValueError
        If something is not said anywhere, or breaks its rule.
    """
    wanted = {key: _spread(key, value) for key, value in given.items() if value is not None}
    beside = path.with_suffix(".toml")
    if beside.is_file():
        said = _read(TomlTable.read(beside))
    else:
        tables = (TomlTable.read(file) for file in bundled("datasets/networks").values())
        known = next((table for table in tables if table.values.get("sha256") == digest), None)
        said = dict(otherwise or {}) if known is None else _read(known)
    if "size" in wanted or "resize" in wanted:
        said.pop("shorter_side", None)
    values = said | wanted
    missing = [key for key in ("size", "channel_order", "mean", "scale") if key not in values]
    if missing:
        raise ValueError(
            f"{path}: the preprocessing of this network is not known: {', '.join(missing)} must be given, "
            f"as arguments or in a file {beside.name} beside it"
        )
    n_channels = 1 if values["channel_order"] == "gray" else 3
    for key in ("mean", "scale"):
        if len(values[key]) == 1:
            values[key] = values[key] * n_channels
    return Preprocessing(**values)


_NUMBERS = Rule(
    "a number, or a list with a number for each channel",
    lambda value: all(
        isinstance(item, int | float) and not isinstance(item, bool)
        for item in (value if isinstance(value, list) else [value])
    ),
)
_SIZE = Rule(
    "an integer >= 1, or a width and a height",
    lambda value: all(
        isinstance(item, int) and not isinstance(item, bool) and item >= 1
        for item in (value if isinstance(value, list) and len(value) == 2 else [value])
    ),
)
_TEXT = Rule("text", lambda value: isinstance(value, str))


def _read(table: TomlTable) -> dict[str, Any]:
    rules = {"size": _SIZE, "channel_order": _TEXT, "mean": _NUMBERS, "scale": _NUMBERS, "resize": _TEXT}
    rules |= {"shorter_side": COUNT, "interpolation": _TEXT}
    found = {key: table.take(key, rule, None) for key, rule in {**rules, "layer": _TEXT}.items()}
    for key in ("sha256", "file", "title", "source", "licence"):
        table.take(key, _TEXT, None)
    table.finish()
    return {key: _spread(key, value) for key, value in found.items() if value is not None}


def _spread(key: str, value: Any) -> Any:
    """Return the value of an attribute as its tuple, where it is one."""
    if key not in ("size", "mean", "scale"):
        return value
    values = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,)
    if key == "size":
        return values * 2 if len(values) == 1 else values
    try:
        return tuple(float(number) for number in values)
    except (TypeError, ValueError):
        raise ValueError(f"{key} must be a number, or one for each channel, got {value!r}") from None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
