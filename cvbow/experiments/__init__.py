"""Experiments that anyone can repeat."""

from cvbow.experiments.digits import DIGIT_SETTINGS, DigitsResult, run_digits

__all__ = ["DIGIT_SETTINGS", "DigitsResult", "run_digits"]
