"""The whole pipeline, from pixels to probabilities, as one ONNX file that any runtime reads."""

from cvbow.export.to_onnx import to_onnx

__all__ = ["to_onnx"]
