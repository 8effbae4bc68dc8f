"""What an index may be made of, by a short text: visual words, or the vectors of any backend."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cvbow.experiments.contenders import parse_contender
from cvbow.experiments.retrieval_definition import DescriberRecipe
from cvbow.features import SIFT
from cvbow.presets import PRESETS, SETTINGS
from cvbow.retrieval import ImageVectors, VisualWords

__all__ = ["WORDS", "index_recipe"]

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


def index_recipe(
    text: str = WORDS, settings: Mapping[str, Any] | None = None, *, local: bool = False
) -> DescriberRecipe:
    """Turn ``words``, ``vlad``, ``fisher``, ``net.onnx`` or what else ``parse_contender`` takes into a recipe.

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
        If the text is unknown, a setting means nothing here, or a value breaks its rule.
    FileNotFoundError
        If there is no such network.
    """
    changes = dict(settings or {})
    if text == WORDS:
        if local:
            raise ValueError("local must be False for words, which are local features themselves")
        own, points = _parameters(VisualWords), _parameters(SIFT)
        chosen: dict[str, Any] = {key: changes.pop(key) for key in list(changes) if key in own}
        extractor = {key: changes.pop(key) for key in list(changes) if key in points}
        _refuse(changes, [*own, *points])
        return _checked(DescriberRecipe("words", {**chosen, "extractor": {"max_points": 1000, **extractor}}))
    try:
        contender = parse_contender(text)
    except ValueError as error:
        raise ValueError(f"what an index is made of must be {WORDS} or a backend; {error}") from None
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
        raise ValueError(f"unknown setting {min(unknown)}; settings are {', '.join(known)}")


def _checked(recipe: DescriberRecipe) -> DescriberRecipe:
    recipe.describer(seed=0).check_params()
    return recipe


def _parameters(kind: type) -> list[str]:
    names = list(inspect.signature(kind).parameters)
    return [name for name in names if name not in _NOT_SETTINGS]
