"""Objects in images: a detector that learns from boxes, and how good it is."""

from __future__ import annotations

from cvbow.detection.evaluation import DetectionReport, evaluate_detections, match_objects
from cvbow.detection.object_detector import ObjectDetector

__all__ = ["DetectionReport", "ObjectDetector", "evaluate_detections", "match_objects"]
