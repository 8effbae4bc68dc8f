"""What an index may be made of, by a short text: visual words, or the vectors of any backend."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvbow.dictionary import VocabularyTree
from cvbow.errors import did_you_mean
from cvbow.features import SIFT, LocalFeatures
from cvbow.presets.building import build_model
from cvbow.presets.contenders import parse_contender
from cvbow.presets.recipes import PRESETS
from cvbow.presets.settings import SETTINGS
from cvbow.retrieval import Describer, ImageVectors, VisualWords
from cvbow.retrieval.visual_words import MAX_POINTS

#: What is asked for by this name is ``VisualWords``.
WORDS = "words"

#: Keypoints in place of a grid, and no pyramid: the same thing is found wherever in an image it is.
_KEYPOINTS = {"features": "sift", "max_points": 1000, "max_side": 1024, "reduce": None, "grids": ("1x1",)}
#: What the presets of long vectors are changed to for an index.
_CHANGES: dict[str, dict[str, Any]] = {
    "vlad": {**_KEYPOINTS, "n_words": 64},
    "fisher": {**_KEYPOINTS, "n_words": 64, "reduce": 64, "position_weight": 0.0, "mirror": False},
}
#: Set otherwise than by a setting.
_NOT_SETTINGS = ("backend", "extractor", "dictionary", "local", "n_jobs", "memory", "random_state")
_OF_CLASSIFIERS = ("augment", "augment_with", "classifier", "random_state")


@dataclass(frozen=True)
class DescriberRecipe:
    """What an index learns, and how it sees images.

    Attributes
    ----------
    kind : {"words", "vectors"}
        ``VisualWords`` or ``ImageVectors``.
    settings : mapping
        Parameters of that class. Of words also ``extractor``, a mapping of parameters of ``SIFT``, or, with
        ``detector``, of ``LocalFeatures``; and ``tree``, of ``VocabularyTree``. Of vectors also ``backend``, what
        ``cvbow compare`` takes; ``backend_settings``, changes where that is a preset; and ``local``, a mapping like
        that of words.

    Examples
    --------
    >>> from cvbow.presets import DescriberRecipe
    >>> recipe = DescriberRecipe("vectors", {"backend": "colors", "whiten": False})
    >>> type(recipe.describer(seed=0).backend).__name__
    'ColorHistogram'
    """

    kind: str
    settings: Mapping[str, Any]

    def describer(self, *, seed: int, n_jobs: int | None = None, memory: Any = None) -> Describer:
        """Return it unfitted."""
        settings = dict(self.settings)
        common = {"n_jobs": n_jobs, "memory": memory, "random_state": seed}
        if self.kind == "words":
            extractor = {"max_points": MAX_POINTS, **settings.pop("extractor", {})}
            tree = settings.pop("tree", None)
            return VisualWords(
                extractor=LocalFeatures(**extractor) if "detector" in extractor else SIFT(**extractor),
                dictionary=None if tree is None else VocabularyTree(**tree, random_state=seed),
                **settings,
                **common,
            )
        contender = parse_contender(settings.pop("backend"))
        changes = settings.pop("backend_settings", {})
        backend = contender.backend(seed=seed)
        if changes:
            if contender.parts[0] not in PRESETS or len(contender.parts) > 1:
                raise ValueError("backend_settings must go with a preset")
            backend = build_model(contender.parts[0], {**changes, "random_state": seed}).backend
        local = settings.pop("local", None)
        if local is not None:
            local = DescriberRecipe("words", local).describer(seed=seed)
        return ImageVectors(backend, local=local, **settings, **common)


def index_recipe(
    text: str = WORDS, settings: Mapping[str, Any] | None = None, *, local: bool = False
) -> DescriberRecipe:
    """Turn ``words``, or a backend as ``parse_contender`` takes it, into the recipe of a describer.

    Parameters
    ----------
    text : str, default "words"
        "words" is ``VisualWords``; all else is ``ImageVectors``, not whitened unless settings say so. "vlad" and
        "fisher" are those presets with SIFT keypoints in place of a grid and without their pyramids.
    settings : mapping, optional
        Parameters of the class; of words also those of ``SIFT``, and of a preset also its settings.
    local : bool, default False
        Store visual words beside the vectors, so that results can be verified by geometry.

    Raises
    ------
    ValueError
        If the text is unknown, a setting does not apply here, or a value breaks its rule.
    FileNotFoundError
        If there is no such network.

    Examples
    --------
    >>> from cvbow.presets import index_recipe
    >>> index_recipe("words", {"n_words": 1000}).describer(seed=0).n_words
    1000
    """
    changes = dict(settings or {})
    if text == WORDS:
        if local:
            raise ValueError("local must be False for words, which are local features themselves")
        own, points = _parameters(VisualWords), _parameters(SIFT)
        chosen: dict[str, Any] = {key: changes.pop(key) for key in list(changes) if key in own}
        extractor = {key: changes.pop(key) for key in list(changes) if key in points}
        _refuse(changes, [*own, *points])
        return _checked(DescriberRecipe("words", {**chosen, "extractor": extractor}))
    try:
        contender = parse_contender(text)
    except ValueError as error:
        raise ValueError(f"what an index is made of must be {WORDS} or a backend; {error}") from None
    if "auto" in contender.parts:
        raise ValueError("what an index is made of must be named, as auto is chosen for the images that a model learns")
    own = _parameters(ImageVectors)
    chosen = {key: changes.pop(key) for key in list(changes) if key in own}
    # To reduce vectors without whitening is hardly ever meant.
    chosen.setdefault("whiten", chosen.get("n_components") is not None)
    if text in PRESETS:
        settings_of_preset = [key for key in SETTINGS if key not in _OF_CLASSIFIERS]
        _refuse([key for key in changes if key.partition("__")[0] not in settings_of_preset], own + settings_of_preset)
        changes = {**_CHANGES.get(text, {}), **changes}
    else:
        _refuse(changes, own)
    if local:
        chosen["local"] = {}
    if changes:
        chosen["backend_settings"] = changes
    return _checked(DescriberRecipe("vectors", {"backend": "+".join(contender.parts), **chosen}))


def _refuse(unknown: Collection[str], known: Sequence[str]) -> None:
    if unknown:
        wrong = min(unknown)
        told = did_you_mean(wrong, known) or f"; settings are {', '.join(known)}"
        raise ValueError(f"unknown setting {wrong}{told}")


def _checked(recipe: DescriberRecipe) -> DescriberRecipe:
    recipe.describer(seed=0).check_params()
    return recipe


def _parameters(kind: type) -> list[str]:
    names = list(inspect.signature(kind).parameters)
    return [name for name in names if name not in _NOT_SETTINGS]
