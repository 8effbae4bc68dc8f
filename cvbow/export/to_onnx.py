"""A classifier from pixels to probabilities as one ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbow import __version__
from cvbow.classify import ImageClassifier, LinearSVM
from cvbow.errors import CvbowError
from cvbow.export._backends import vectors
from cvbow.export._graph import Graph
from cvbow.storage import readable_json

#: The operator set, of 2021: runtimes of the last years have it.
OPSET = 17


def to_onnx(model: ImageClassifier) -> Any:
    from onnx import TensorProto, checker, helper

    graph = Graph()
    pixels = graph.transpose(graph.to("image", np.float32), 0, 3, 1, 2)
    vector = vectors(graph, model.backend_, pixels)
    classifier = model.classifier_
    if not isinstance(classifier, LinearSVM):
        raise CvbowError(f"{type(classifier).__name__} cannot be exported; what can be is LinearSVM")
    decisions = graph.op(
        "Gemm", vector, graph.constant(classifier.coef_), graph.constant(classifier.intercept_), transB=1
    )
    if len(classifier.coef_) == 1:
        decisions = graph.op("Mul", graph.concat(1, graph.op("Neg", decisions), decisions), graph.constant(0.5))
    graph.output("decisions", decisions)
    scaled = graph.op("Mul", decisions, graph.constant(classifier.temperature_))
    graph.output("probabilities", graph.op("Softmax", scaled, axis=1))
    classes = [str(name) for name in model.classes_]
    made = helper.make_graph(
        graph.nodes,
        "cvbow",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "height", "width", 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(classes)])
            for name in ("probabilities", "decisions")
        ],
        graph.initializers,
    )
    found = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="cvbow",
        producer_version=__version__,
    )
    helper.set_model_props(found, {"classes": readable_json(classes).decode()})
    checker.check_model(found, full_check=True)
    return found
