"""What chooses a model by the images that it is to learn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from cvbow.backends import ImageEncoder, ImageLike
from cvbow.backends.loading import tag_images


@dataclass(frozen=True, eq=False)
class Chosen:
    """A model that was chosen, unfitted.

    Attributes
    ----------
    backend : ImageEncoder
    classifier : str or estimator
        As ``ImageClassifier`` takes it.
    recipe : mapping
        What to say about the model's making: plain values.

    Examples
    --------
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.classify import Chosen
    >>> chosen = Chosen(ColorHistogram(), "linear-svm", {"because": "the images are in colour"})
    >>> chosen.recipe["because"]
    'the images are in colour'
    """

    backend: ImageEncoder
    classifier: Any
    recipe: Mapping[str, Any]


class ModelChooser(BaseEstimator, ABC):  # type: ignore[misc]
    """Base class of what stands in the place of an ``ImageClassifier``'s backend until there are images.

    ``ImageClassifier.fit`` lets it choose from the images that it learns from, and no others: in a cross-validation,
    from the training part. The same images in the same order give the same choice.

    Parameters
    ----------
    n_jobs, memory : see ``ImageEncoder``
        Of the choice, and of the backend that is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier
    >>> from cvbow.backends import ColorHistogram, RawPixels
    >>> from cvbow.classify import Chosen, ModelChooser
    >>> class BySize(ModelChooser):
    ...     def __init__(self, n_jobs=None, memory=None):
    ...         self.n_jobs, self.memory = n_jobs, memory
    ...     def choose(self, images):
    ...         small = len(images[0]) < 16
    ...         return Chosen(RawPixels(size=4) if small else ColorHistogram(), "naive-bayes", {"small": small})
    >>> white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> model = ImageClassifier(BySize(), None).fit([white, black] * 3, ["white", "black"] * 3)
    >>> type(model.backend_).__name__, model.recipe_
    ('RawPixels', {'small': True})
    """

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "memory": None}

    n_jobs: int | None
    memory: Any

    @abstractmethod
    def choose(self, images: Sequence[ImageLike]) -> Chosen:
        """Choose a model for images (n_images,), paths or arrays; those that cannot be read count for nothing."""

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tag_images(tags.input_tags)
        return tags
