"""Which pixels: super-pixels over visual words, learned from masks or scribbles."""

from cvbow.segmentation.describer import SuperPixelDescriber
from cvbow.segmentation.masks import (
    UNKNOWN,
    MaskedImages,
    encode_mask,
    mask_color,
    pair_masks,
    read_mask,
)
from cvbow.segmentation.measures import SegmentationReport, boundary_f
from cvbow.segmentation.scribbles import make_scribbles
from cvbow.segmentation.segmented import Segmented
from cvbow.segmentation.segmenter import Segmenter
from cvbow.segmentation.superpixels import SuperPixels, find_superpixels

__all__ = [
    "UNKNOWN",
    "MaskedImages",
    "SegmentationReport",
    "Segmented",
    "Segmenter",
    "SuperPixelDescriber",
    "SuperPixels",
    "boundary_f",
    "encode_mask",
    "find_superpixels",
    "make_scribbles",
    "mask_color",
    "pair_masks",
    "read_mask",
]
