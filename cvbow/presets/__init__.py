"""Named recipes: of models, of what takes part in a comparison, and of indexes; every number with the reason beside it.

A recipe is a flat table of settings, so that one can be looked at in ``cvbow info``, changed on the command line with
``--set key=value``, and written in a benchmark definition. ``make_model`` builds the model from it; with "auto" the
recipe is chosen when there are images.
"""

from cvbow.presets.advice import next_step
from cvbow.presets.augmenting import TRANSFORMS, make_augmenter
from cvbow.presets.auto import Auto, make_model
from cvbow.presets.building import resolve
from cvbow.presets.contenders import Contender, parse_contender
from cvbow.presets.files import find_preset, is_recipe_file, read_recipes, take_settings, write_recipes
from cvbow.presets.index_recipes import WORDS, DescriberRecipe, index_recipe
from cvbow.presets.recipes import PRESETS, Preset
from cvbow.presets.settings import PARTS, SETTINGS, Setting, parse_setting

__all__ = [
    "PARTS",
    "PRESETS",
    "SETTINGS",
    "TRANSFORMS",
    "WORDS",
    "Auto",
    "Contender",
    "DescriberRecipe",
    "Preset",
    "Setting",
    "find_preset",
    "index_recipe",
    "is_recipe_file",
    "make_augmenter",
    "make_model",
    "next_step",
    "parse_contender",
    "parse_setting",
    "read_recipes",
    "resolve",
    "take_settings",
    "write_recipes",
]
