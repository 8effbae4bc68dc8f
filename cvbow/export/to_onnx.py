"""A classifier, from pixels to probabilities, as one ONNX model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from cvbow import __version__
from cvbow._checks import check_choice, check_ints
from cvbow.classify import ImageClassifier
from cvbow.export._backends import vectors
from cvbow.export._classifiers import decide
from cvbow.storage import GENERATOR

if TYPE_CHECKING:
    from onnx import ModelProto

#: The version of the file's format that goes with it.
_IR_VERSION = 8


def to_onnx(
    model: ImageClassifier, *, size: tuple[int, int] | None = None, heat: bool = True, precision: str = "fp32"
) -> ModelProto:
    """Return a classifier as one ONNX model, from pixels to probabilities.

    Its input ``image`` is uint8 RGB, (n, height, width, 3): upright, and transparent pixels laid onto the model's
    background, as ``cvbow.read_image`` gives it. Images are brought to the working size inside. Outputs are
    ``probabilities`` and ``decisions``, float32 (n, n_classes), and ``heat``, float32 (n, height, width) at the working
    size: what each pixel gave to the decision for the most probable class, as ``cvbow.explain`` finds it. It has
    operators of ONNX alone, and in its metadata ``classes`` (a JSON list) and ``recipe`` (a JSON object).

    Parameters
    ----------
    model : ImageClassifier
        Fitted, with dense features (``DenseSIFT`` but of hsv, ``ColorStatistics``, ``WhitenedPatches``), any encoder,
        in pyramids or not, but ``VLAD`` of unit or rotated residuals, any dictionary but ``VocabularyTree`` (an
        ``ApproximateKMeans`` may miss the nearest word, the exported model does not); or with a ``CnnEncoder`` of an
        ONNX file, which goes into the model; and ``LinearSVM``, ``LogisticRegression`` or ``KernelSVM``, with whose
        training vectors the file grows, on maps for additive kernels or not.
    size : (int, int) or None, default None
        Height and width of all images; None for images of any size, which may differ from call to call.
    heat : bool, default True
        Whether there is the output ``heat``, which takes about as long again as the others. A network's is of the size
        that the network is given, and there is none of a layer without places, of channels of which one is a network,
        or of the kernels "rbf" and "chi2", which do not add up over values.
    precision : {"fp32", "fp16", "int8"}, default "fp32"
        Of the classifier's weights or training vectors, which are most of the file: 4, 2 or 1 bytes each. The rest
        stays float32.

    Returns
    -------
    onnx.ModelProto
        Checked by ``onnx.checker``; ``SerializeToString`` gives the file.

    Raises
    ------
    CvbowError
        If a part of the model cannot be exported; the message says which, and why.
    NotFittedError
        Before ``fit``.
    ValueError
        If `size` is not two lengths of at least 1, or `precision` unknown.
    ImportError
        Without the package onnx (``pip install 'cvbow[export]'``).

    Notes
    -----
    The model gives what ``predict_proba`` gives for the same pixels, up to rounding: mostly to 1e-5, and to 1e-3 where
    images are shrunk to the working size, as OpenCV rounds means of areas in whole numbers. Where a descriptor is as
    near to one visual word as to another, up to float32's digits, either may be taken: a few thousandths then.
    A model that sees gray alone reads JPEG files in gray, which differs by a level here and there from the gray of
    their colours.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> from cvbow.export import to_onnx
    >>> images = list(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8))
    >>> backend = BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=4)))
    >>> model = ImageClassifier(backend).fit(images, ["a", "b"] * 3)
    >>> exported = to_onnx(model)
    >>> [value.name for value in exported.graph.output]
    ['probabilities', 'decisions', 'heat']
    """
    from onnx import TensorProto, checker, helper

    from cvbow.export._graph import DOMAIN, OPSET, Graph

    check_is_fitted(model, "classifier_")
    if size is not None:
        check_ints("size", size, minimum=1)
        if len(size) != 2:
            raise ValueError(f"size must be a height and a width, got {size!r}")
    check_choice("precision", precision, ("fp32", "fp16", "int8"))
    graph = Graph()
    pixels = graph.transpose(graph.to("image", np.float32), 0, 3, 1, 2)
    encoded = vectors(graph, model.backend_, pixels)
    answer = decide(graph, model.classifier_, encoded.values, precision)
    graph.output("probabilities", answer.probabilities)
    graph.output("decisions", answer.decisions)
    classes = [str(name) for name in model.classes_]
    sides = ["height", "width"] if size is None else list(size)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(classes)])
        for name in ("probabilities", "decisions")
    ]
    if heat and encoded.heat is not None and answer.given is not None:
        graph.output("heat", graph.op("Squeeze", encoded.heat(answer.given()), graph.integers(1)))
        outputs.append(helper.make_tensor_value_info("heat", TensorProto.FLOAT, ["n", "heat_height", "heat_width"]))
    made = helper.make_graph(
        graph.nodes,
        GENERATOR,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", *sides, 3])],
        outputs,
        graph.initializers,
    )
    found = helper.make_model(
        made,
        functions=graph.functions,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=_IR_VERSION,
        producer_name=GENERATOR,
        producer_version=__version__,
    )
    helper.set_model_props(found, {"classes": _json(classes), "recipe": _json(dict(model.shown_recipe))})
    checker.check_model(found, full_check=True)
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
