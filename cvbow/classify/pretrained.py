"""Classification by a network as it was trained, with its own classes: nothing is learned here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from cvbow.backends import CnnEncoder, ImageLike
from cvbow.classify._temperature import softmax
from cvbow.classify.answers import Answers
from cvbow.files import read_text
from cvbow.networks import open_network


class PretrainedClassifier:
    """A trained network that answers with its own classes.

    Parameters
    ----------
    network : path, or name
        An ONNX file, or one of torchvision's models; see ``CnnEncoder`` for how its preprocessing is found.
    labels : sequence of str or None, default None
        The names of its classes, in the order of its scores; ``read_labels`` reads them from a file. None: those that
        torchvision says for its official weights.
    layer : str or None, default None
        The layer with a score for each class; None: the only output of the network that has as many values.
    weights : path, name or None, default None
        Of a torchvision model, as for ``CnnEncoder``.
    **options
        Further parameters of ``CnnEncoder``: ``size``, ``mean``, ``engine``, ``n_jobs`` and so on.

    Attributes
    ----------
    classes_ : ndarray of str
        The labels; where two are alike, each with its position behind it.
    layer_ : str

    Raises
    ------
    FileNotFoundError, NetworkError
        As ``CnnEncoder``.
    ValueError
        If a parameter breaks its rule, or the network has not a score for each label, or no labels are given and
        nobody says its classes.

    Examples
    --------
    >>> import base64, pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow.classify import PretrainedClassifier
    >>> data = base64.b64decode(  # a network whose scores for three classes are the three channels of one pixel
    ...     "CAhCBAoAEA06SAoMCgF4EgF5IgRSZWx1WhsKAXgSFgoUCAESEAoCCAEK"
    ...     "AggDCgIIAQoCCAFiGwoBeRIWChQIARIQCgIIAQoCCAMKAggBCgIIAQ=="
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny.onnx")
    ...     _ = path.write_bytes(data)
    ...     model = PretrainedClassifier(
    ...         path, ["red", "green", "blue"], size=1, channel_order="rgb", mean=0, scale=1 / 255, engine="opencv"
    ...     )
    ...     answers = model.answer([np.full((4, 4, 3), (0, 255, 0), np.uint8)])
    >>> answers.labels.tolist()
    ['green']
    """

    def __init__(
        self,
        network: str | os.PathLike[str],
        labels: Sequence[str] | None = None,
        *,
        layer: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        shared = {"pooling": "none", "normalization": "none", "weights": weights, **options}
        engine, provider = options.get("engine", "auto"), options.get("provider", "cpu")
        opened = open_network(network, weights=weights, engine=engine, provider=provider)
        labels = opened.classes if labels is None else labels
        if labels is None:
            raise ValueError(f"labels must be given, as {opened.path} does not say what its classes are")
        candidates = opened.outputs if layer is None else (layer,)
        encoders = [CnnEncoder(network, layer=name, **shared).fit([]) for name in candidates]
        fitting = [encoder for encoder in encoders if encoder.length_ == len(labels)]
        if len(fitting) != 1:
            found = ", ".join(f"{encoder.layer_} {encoder.length_}" for encoder in encoders)
            rule = "a label for each score" if not fitting else "an output of the network that is named as the layer"
            raise ValueError(f"labels must have {rule}; the network's outputs are {found}; got {len(labels)} labels")
        (self.encoder_,) = fitting
        self.layer_ = self.encoder_.layer_
        # The scores of a network that ends before its softmax are the logarithms of odds.
        self._is_softmax = opened.is_probability(self.layer_)
        counts = Counter(labels)
        names = [name if counts[name] == 1 else f"{name} ({row})" for row, name in enumerate(labels)]
        self.classes_ = np.array(names)

    def answer(self, images: Sequence[ImageLike], *, strict: bool = False) -> Answers:
        """Classify the images that can be read, and tell which could not; see ``ImageClassifier.answer``."""
        encoded = self.encoder_.encode_images(images, strict=strict)
        scores = np.asarray(encoded.vectors, np.float64)
        probabilities = scores if self._is_softmax else softmax(scores)
        labels = self.classes_[probabilities.argmax(axis=1)]
        return Answers(labels, probabilities, encoded.rows, encoded.skipped, classes=self.classes_)


def read_labels(path: str | os.PathLike[str]) -> list[str]:
    """Read the names of a network's classes, from a text file in UTF-8: a line each, or ``index,name``.

    FileNotFoundError if there is no such file; ValueError if it has no labels, is not UTF-8, or its indices are not 0,
    1, 2 and so on.
    """
    try:
        lines = [line.strip() for line in read_text(path, encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{os.fspath(path)}: labels must be text in UTF-8") from None
    if not lines:
        raise ValueError(f"{os.fspath(path)}: labels must have a line for each class, got an empty file")
    parts = [line.partition(",") for line in lines]
    if not all(index.strip().isdecimal() and name.strip() for index, _, name in parts):
        return lines
    for row, (index, _, _) in enumerate(parts):
        if int(index) != row:
            raise ValueError(f"{os.fspath(path)}: labels must be numbered 0, 1, 2, ...; line {row + 1} has {index}")
    return [name.strip() for _, _, name in parts]
