"""Why: the points, the words and the pixels that a score is the sum of."""

from cvbow.explanation.words import WordGallery, WordPatch, WordUse, word_gallery

__all__ = ["WordGallery", "WordPatch", "WordUse", "word_gallery"]
