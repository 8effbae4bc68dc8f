"""The whole pipeline, from pixels to probabilities, as one ONNX file that any runtime reads."""

from cvbow.export.to_onnx import to_onnx
from cvbow.export.web import Runtime, write_web_page

__all__ = ["Runtime", "to_onnx", "write_web_page"]
