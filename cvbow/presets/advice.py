"""What to try next with a model, said only where a measured gain and the facts of the training speak for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cvbow.classify import ImageClassifier
from cvbow.tables import counted

#: Images of a class, in the median, below which copies helped: with 10 of each class of 15-Scene, eight copies gained
#: one point with "bow" and two with "fast".
FEW = 20
#: Training images up to which the time of "best", five views of each, is some minutes.
BEST = 2000


def next_step(model: ImageClassifier, labels: Sequence[str] | Sequence[Sequence[str]]) -> str | None:
    """Return what would likely make a trained model more accurate, as one sentence; None if nothing is known to.

    Parameters
    ----------
    model : ImageClassifier
        Fitted, from a recipe.
    labels : sequence of str, or of sequences of str
        The labels that it learned from.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import make_model
    >>> from cvbow.presets import next_step
    >>> images = list(np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8))
    >>> model = make_model("bow", settings={"n_words": 10}).fit(images, ["a", "a", "b", "b"])
    >>> next_step(model, ["a", "a", "b", "b"])
    'half of the classes have 2 images or fewer: --augment 8, copies of each image, may gain a point or two'
    """
    counts = list(Counter(name for label in labels for name in ([label] if isinstance(label, str) else label)).values())
    if not model.n_augmented and np.median(counts) < FEW:
        few = f"half of the classes have {counted(int(np.median(counts)), 'image')} or fewer"
        return f"{few}: --augment 8, copies of each image, may gain a point or two"
    recipe = model.shown_recipe
    if recipe.get("chosen") == "fisher" and recipe["channels"] == ["local"] and len(labels) <= BEST:
        return "--preset best was a point better on 15-Scene, also gray images, at nine times the time"
    return None
