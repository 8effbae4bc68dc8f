"""The whole pipeline, from pixels to probabilities, as one ONNX file that any runtime reads."""

from cvbow.export.to_onnx import OPSET, to_onnx

__all__ = ["OPSET", "to_onnx"]
