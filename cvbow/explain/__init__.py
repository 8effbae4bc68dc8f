"""Why a model answers as it does: the words that its scores are made of."""

from cvbow.explain.words import WordGallery, WordPatch, WordUse, word_gallery

__all__ = ["WordGallery", "WordPatch", "WordUse", "word_gallery"]
