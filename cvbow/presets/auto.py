"""The choice of a recipe by what the images are, not by trying recipes out: their size, their colour, their number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Never

import numpy as np

from cvbow.backends import ImageLike, MultiCrop
from cvbow.backends.loading import check_images, load_source, try_image
from cvbow.classify import Chosen, ImageClassifier, ModelChooser
from cvbow.errors import ImageError, did_you_mean
from cvbow.images import has_color, read_image
from cvbow.images.summary import spread_over
from cvbow.parallel import run
from cvbow.presets.building import build_model
from cvbow.presets.recipes import BEST_IN_COLOR, IN_COLOR, PRESETS, Preset
from cvbow.presets.settings import PARTS, SETTINGS
from cvbow.progress import note
from cvbow.storage import storable

#: Images that are looked at: a share of 5 % among them is known to 2 %, and reading them takes seconds.
LOOKED_AT = 100
#: Median of the shorter sides, in pixels, below which an image is tiny: it does not hold dense SIFT's largest patch.
TINY = 64
#: Share of images in colour from which on colour is described: in fewer it could tell few images apart.
COLORED = 0.05
#: Vectors that take 4 GB, of "fisher" those of one channel: training takes twice that, which a computer with 16 GB
#: holds, and as many images are described in some minutes.
ROOM = {"fisher": 14_800, "patches": 69_000}
#: How often words or Gaussians, and with them the vectors, are halved for more images. Beyond, describing them for
#: "fisher" would take more than a quarter of an hour, and "fast" takes its place; tiny images have no other recipe.
HALVINGS = 2


@storable
class Auto(ModelChooser):
    """Chooses the recipe of a model by what the images are.

    Tiny images get the recipe "patches", all others "fisher", with a channel for colour where there is colour; where
    there are so many that their vectors would fill the memory, with fewer words, or "fast". A sample of the images
    is looked at, spread evenly over them; nothing is tried out.

    Parameters
    ----------
    preset : {"auto", "fast", "best"}, default "auto"
        "fast" and "best" are those recipes, of which only the channel for colour is chosen.
    settings : mapping or None, default None
        Changes to whatever is chosen, as ``make_model`` takes them.
    n_jobs, memory : see ``ImageEncoder``
        Of the choice, and of the backend that is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.presets import Auto
    >>> tiny = np.zeros((32, 32, 3), np.uint8)
    >>> recipe = Auto().choose([tiny, tiny]).recipe
    >>> recipe["chosen"], recipe["because"]
    ('patches', 'half of the images are 32 pixels high or wide, or less')
    """

    def __init__(
        self,
        preset: str = "auto",
        settings: Mapping[str, Any] | None = None,
        *,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.preset = preset
        self.settings = settings
        self.n_jobs = n_jobs
        self.memory = memory

    def choose(self, images: Sequence[ImageLike]) -> Chosen:
        """Choose the recipe for images and build its model; without images, as for gray ones of usual size.

        ValueError if a setting does not apply to the recipe that is chosen.
        """
        self.check_params()
        images = check_images(images)
        choice = _RULES[self.preset](_look(images, self.n_jobs), self.settings or {})
        if images:
            recipe = self.preset if choice.preset == self.preset else f"{self.preset}: {choice.preset}"
            changes = "".join(f", {key} {_shown(value)}" for key, value in choice.changes.items())
            note(f"recipe {recipe}{changes}, because {choice.because}")
        try:
            model = self._build(choice)
        except ValueError as error:
            raise ValueError(f"{error}; the recipe is {choice.preset}, because {choice.because}") from None
        said = {"preset": self.preset, "chosen": choice.preset, "because": choice.because}
        return Chosen(model.backend, model.classifier, said | {**(model.recipe or {}), "preset": self.preset})

    def check_params(self) -> None:
        if self.preset not in _RULES:
            raise ValueError(f"preset must be one of {', '.join(_RULES)}, got {self.preset!r}")
        if self.settings is not None and not isinstance(self.settings, Mapping):
            raise ValueError(f"settings must be a mapping or None, got {self.settings!r}")
        self.possible_model()

    def possible_model(self) -> ImageClassifier:
        """Return one of the models that may be chosen.

        ValueError if the settings are wrong for all of them: what is wrong with the first.
        """
        errors = []
        for choice in _POSSIBLE[self.preset]:
            try:
                return self._build(choice)
            except ValueError as error:
                errors.append(error)
        raise errors[0]

    def _build(self, choice: _Choice) -> ImageClassifier:
        settings = {**choice.changes, **(self.settings or {})}
        return build_model(choice.preset, settings, n_jobs=self.n_jobs, memory=self.memory)


def make_model(
    preset: str | Preset = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    n_jobs: int | None = -1,
    memory: Any = None,
    **misplaced: Never,
) -> ImageClassifier:
    """Build the unfitted model of a recipe.

    Parameters
    ----------
    preset : str or Preset, default "auto"
        A key of ``PRESETS``; a file of recipes, ``best.toml`` or ``best.toml#3``, see ``find_preset``; or a recipe
        itself. With "auto", "fast" and "best" the model chooses when it is fitted, see ``Auto``, unless the
        settings name parts or channels, which leaves nothing to choose: then "auto" is "bow" with these parts.
    settings : mapping, optional
        Changes to it; keys of ``SETTINGS`` or parameters of the classifier.
    n_jobs : int or None, default -1
        Workers, by joblib's convention.
    memory : str, path, joblib.Memory or None, default None
        Cache; see ``BagEncoder``.
    **misplaced
        There are none: settings that are given in this way are told where they go.

    Raises
    ------
    ValueError
        If the preset or a key is unknown, or a value breaks its rule.
    TypeError
        If there is anything more.

    Examples
    --------
    >>> from cvbow import make_model
    >>> make_model().backend
    Auto(n_jobs=-1, settings={})
    >>> model = make_model("bow", settings={"n_words": 200, "C": 1.0})
    >>> model.backend.encoder.encoder.dictionary.n_words
    200
    """
    if misplaced:
        key = next(iter(misplaced))
        told = "" if key in SETTINGS else did_you_mean(key, [*SETTINGS, "settings", "n_jobs", "memory"])
        raise TypeError(f"make_model has no parameter {key}; settings go in settings={{...}}{told}")
    changes = dict(settings or {})
    if not isinstance(preset, str) or preset not in _RULES or any(key in _NAMING for key in changes):
        return build_model(preset, changes, n_jobs=n_jobs, memory=memory)
    chooser = Auto(preset, changes, n_jobs=n_jobs, memory=memory)
    model = chooser.possible_model()
    # A classifier that is named is not chosen, and copies are made of whatever is.
    classifier = model.classifier if "classifier" in changes else None
    model.set_params(backend=chooser, classifier=classifier, recipe={"preset": preset})
    return model


#: Settings by which a user says what a recipe is made of.
_NAMING = {"channels", *PARTS, *(key for key, setting in SETTINGS.items() if setting.implies is not None)}


class _Choice(NamedTuple):
    """A preset, the changes to it, and why."""

    preset: str
    changes: Mapping[str, Any]
    because: str


@dataclass(frozen=True)
class _Facts:
    """What was found out about images: how many there are, the median of their shorter sides, the share in colour."""

    n_images: int
    side: float | None
    colored: float

    @property
    def have_color(self) -> bool:
        return self.colored >= COLORED

    @property
    def of_color(self) -> str:
        if self.side is None:
            return "none of the images that were looked at can be read"
        if not self.colored:
            return "the images are gray"
        return f"{'' if self.have_color else 'only '}{self.colored:.0%} of the images are in colour"


def _look(images: Sequence[ImageLike], n_jobs: int | None) -> _Facts:
    places = spread_over(range(len(images)), LOOKED_AT) if images else []
    found = run(_seen, [images[place] for place in places], n_jobs=n_jobs, task="look", total=len(places))
    seen = [one for one in found if not isinstance(one, ImageError)]
    if not seen:
        return _Facts(len(images), None, 0.0)
    sides, colors = zip(*seen, strict=True)
    return _Facts(len(images), float(np.median(sides)), sum(colors) / len(seen))


def _seen(image: ImageLike) -> tuple[int, bool] | ImageError:
    """Return an image's shorter side and whether it has colour, or why it cannot be read."""
    found: tuple[int, bool] | ImageError = try_image(image, lambda: _measured(*load_source(image)))
    return found


def _measured(source: Any, name: str | None) -> tuple[int, bool]:
    image = read_image(source, name=name)
    return min(image.shape[:2]), has_color(image)


def _any(facts: _Facts, settings: Mapping[str, Any]) -> _Choice:
    preset = "fisher"
    changes, because = _in_color(facts)
    if facts.side is not None and facts.side < TINY:
        preset, changes = "patches", {}
        because = f"half of the images are {facts.side:g} pixels high or wide, or less"
    elif facts.side is not None:
        because = f"half of the images are {facts.side:g} pixels high and wide, or more, and {because}"
    views = MultiCrop.n_views if settings.get("views") == "crops" else 1
    vectors = facts.n_images * (1 + settings.get("augment", 0)) * views * len(changes.get("channels", ("local",)))
    if vectors <= ROOM[preset] or "n_words" in settings:
        return _Choice(preset, changes, because)
    halvings = math.ceil(math.log2(vectors / ROOM[preset]))
    because += f", and their {vectors:,} vectors would fill the memory"
    if halvings > HALVINGS and preset == "fisher":
        return _Choice("fast", changes, because)
    for key in ("n_words", "color__n_words"):
        if key in PRESETS[preset].settings and (key == "n_words" or facts.have_color):
            changes[key] = PRESETS[preset].settings[key] >> min(halvings, HALVINGS)
    return _Choice(preset, changes, because)


def _fast(facts: _Facts, settings: Mapping[str, Any]) -> _Choice:
    return _Choice("fast", *_in_color(facts))


def _best(facts: _Facts, settings: Mapping[str, Any]) -> _Choice:
    return _Choice("best", *_in_color(facts, BEST_IN_COLOR))


def _in_color(facts: _Facts, changes: Mapping[str, Any] = IN_COLOR) -> tuple[dict[str, Any], str]:
    return dict(changes) if facts.have_color else {}, facts.of_color


def _shown(value: Any) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value)


#: How the recipes that go by the images choose.
_RULES: dict[str, Callable[[_Facts, Mapping[str, Any]], _Choice]] = {"auto": _any, "fast": _fast, "best": _best}
_EITHER = tuple(_Choice(preset, changes, "") for preset in ("fisher", "fast") for changes in ({}, IN_COLOR))
#: What may be chosen.
_POSSIBLE = {
    "auto": (*_EITHER, _Choice("patches", {}, "")),
    "fast": _EITHER[2:],
    "best": tuple(_Choice("best", changes, "") for changes in ({}, BEST_IN_COLOR)),
}
