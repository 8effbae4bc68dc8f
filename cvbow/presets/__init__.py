"""Named recipes: every number of a pipeline from image to class, with the reason beside it.

A recipe is a flat table of settings, so that one can be looked at in ``cvbow info``, changed on the command line with
``--set key=value``, and written in a benchmark definition. ``make_model`` builds the model from it.
"""

from cvbow.presets.building import make_model, resolve
from cvbow.presets.recipes import PRESETS, Preset
from cvbow.presets.settings import SETTINGS, Setting, parse_setting

__all__ = ["PRESETS", "SETTINGS", "Preset", "Setting", "make_model", "parse_setting", "resolve"]
