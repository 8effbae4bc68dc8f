"""Named recipes: every number of a pipeline from image to class, with the reason beside it.

A recipe is a flat table of settings, so that one can be looked at in ``cvbow info``, changed on the command line with
``--set key=value``, and written in a benchmark definition. ``make_model`` builds the model from it.
"""

from cvbow.presets.augmenting import TRANSFORMS, make_augmenter
from cvbow.presets.building import make_model, resolve
from cvbow.presets.recipes import PRESETS, Preset
from cvbow.presets.settings import SETTINGS, Setting, parse_setting

__all__ = [
    "PRESETS",
    "SETTINGS",
    "TRANSFORMS",
    "Preset",
    "Setting",
    "make_augmenter",
    "make_model",
    "parse_setting",
    "resolve",
]
