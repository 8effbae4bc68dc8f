"""Who is compared: backends by a short text, so that classical and CNN vectors are asked for alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvbow.backends import ChannelUnion, CnnEncoder, ColorHistogram, ImageEncoder, ImageLike, MultiCrop, RawPixels
from cvbow.classify import ModelChooser
from cvbow.networks import find_known_network, is_model_name, known_models, known_networks
from cvbow.presets.auto import make_model
from cvbow.presets.files import find_preset, is_recipe_file
from cvbow.presets.recipes import PRESETS

#: The simplest descriptions of an image.
FLOORS = {"pixels": RawPixels, "colors": ColorHistogram}


@dataclass(frozen=True)
class Contender:
    """A backend that takes part in a comparison.

    Attributes
    ----------
    name : str
        What it is called in tables.
    parts : tuple of str
        Presets, also such as ``best.toml#3``, ``pixels``, ``colors``, ONNX files, networks that cvbow knows, or
        torchvision models, which are ``NAME`` or, with a file of weights, ``NAME@FILE``; several are joined into one
        vector.

    Examples
    --------
    >>> from cvbow.presets import Contender
    >>> [name for name, _ in Contender("both", ("pixels", "colors")).backend().channels]
    ['pixels', 'colors']
    """

    name: str
    parts: tuple[str, ...]

    def backend(
        self, images: Sequence[ImageLike] = (), *, seed: int = 0, n_jobs: int | None = -1, memory: Any = None
    ) -> ImageEncoder:
        """Build the unfitted backend.

        Parameters
        ----------
        images : sequence of paths or arrays, default ()
            What it is to learn from: a preset that goes by the images chooses by them.
        seed : int
            Of a preset's sample and dictionary.
        n_jobs, memory
            As for every backend.

        Raises
        ------
        NetworkError
            If a network that cvbow knows is not where CVBOW_NETWORKS says.
        """
        made = [_part(part, seed, images, n_jobs) for part in self.parts]
        backend = made[0] if len(made) == 1 else _joined([_short(part) for part in self.parts], made)
        backend.set_params(n_jobs=n_jobs, memory=memory)
        return backend

    def check(self) -> None:
        """Open its networks, so that a missing one is an error now and not hours later."""
        for part in self.parts:
            backend = _part(part, seed=0)
            if isinstance(backend, CnnEncoder):
                backend.fit([])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; of files, the names."""
        return {"name": self.name, "parts": [_without_folder(part) for part in self.parts]}


def parse_contender(text: str) -> Contender:
    """Turn a short text into a contender.

    Parameters
    ----------
    text : str
        The name of a preset, also of one in a file, ``pixels`` or ``colors``; of an ONNX file or of a network that
        cvbow knows; or of one of torchvision's models, as ``resnet50`` with its official weights, as
        ``resnet50@weights.pth`` with those of a file. Several are joined by ``+``, and ``name=`` before them says what
        they are called in tables.

    Raises
    ------
    FileNotFoundError
        If there is no such file of recipes, ONNX file, or weights.
    ValueError
        If a part is none of those; the message lists them.

    Examples
    --------
    >>> from cvbow.presets import parse_contender
    >>> parse_contender("small=pixels+colors")
    Contender(name='small', parts=('pixels', 'colors'))
    """
    name, equals, rest = text.partition("=")
    parts = tuple(part.strip() for part in (rest if equals else text).split("+"))
    for part in parts:
        model, at, weights = part.partition("@")
        if part.endswith(".onnx"):
            Path(part).stat()
        elif at and is_model_name(model) and model in known_models():
            Path(weights).stat()
        elif is_recipe_file(part):
            find_preset(part)
        elif part not in (*PRESETS, *FLOORS, *known_networks()) and part not in known_models():
            known = ", ".join((*PRESETS, *FLOORS, *known_networks()))
            raise ValueError(
                f"backend must be one of {known}, a file of recipes such as best.toml, an .onnx file, a torchvision "
                f"model such as resnet50 or resnet50@weights.pth, or several with + between; got {part!r}"
            )
    if len(set(parts)) < len(parts):
        raise ValueError(f"backend must have parts that differ from each other, got {text!r}")
    return Contender(name.strip() if equals else "+".join(map(_short, parts)), parts)


def _short(part: str) -> str:
    return Path(_without_folder(part)).stem if part.endswith(".onnx") or "@" in part else part


def _without_folder(part: str) -> str:
    model, at, weights = part.partition("@")
    return f"{model}@{Path(weights).name}" if at and not part.endswith(".onnx") else Path(part).name


def _part(part: str, seed: int, images: Sequence[ImageLike] = (), n_jobs: int | None = None) -> ImageEncoder:
    if part.endswith(".onnx"):
        return CnnEncoder(part)
    if part in known_networks():
        return CnnEncoder(find_known_network(part))
    if part not in PRESETS and part not in FLOORS and not is_recipe_file(part):
        model, _, weights = part.partition("@")
        return CnnEncoder(model, weights=weights or None)
    if part in FLOORS:
        floor: ImageEncoder = FLOORS[part]()
        return floor
    backend = make_model(part, settings={"random_state": seed}, n_jobs=n_jobs).backend
    if isinstance(backend, ModelChooser):
        backend = backend.choose(images).backend
    backend.set_params(n_jobs=None)
    return backend


def _joined(names: list[str], backends: list[ImageEncoder]) -> ImageEncoder:
    """Join vectors side by side; where one part takes several views of an image, all do."""
    whole = [backend.backend if isinstance(backend, MultiCrop) else backend for backend in backends]
    channels: list[tuple[str, ImageEncoder]] = []
    for name, backend in zip(names, whole, strict=True):
        if isinstance(backend, ChannelUnion):
            channels += [(f"{name} {inner}", encoder) for inner, encoder in backend.channels]
        else:
            channels.append((name, backend))
    union = ChannelUnion([(name.replace("__", "_"), encoder) for name, encoder in channels])
    views = next((backend for backend in backends if isinstance(backend, MultiCrop)), None)
    return union if views is None else MultiCrop(union, share=views.share)
