# What an editor and a type checker see of the names that __init__.py loads lazily; a test keeps the two lists equal.

from cvbow.annotations import Objects as Objects
from cvbow.annotations import read_objects as read_objects
from cvbow.augmentation import ImageAugmenter as ImageAugmenter
from cvbow.backends import BagEncoder as BagEncoder
from cvbow.classify import CLASSIFIERS as CLASSIFIERS
from cvbow.classify import ClassificationReport as ClassificationReport
from cvbow.classify import ImageClassifier as ImageClassifier
from cvbow.classify import KernelSVM as KernelSVM
from cvbow.classify import LabelsReport as LabelsReport
from cvbow.classify import LinearSVM as LinearSVM
from cvbow.classify import classification_report as classification_report
from cvbow.classify import images_to_label as images_to_label
from cvbow.classify import labels_report as labels_report
from cvbow.classify import make_classifier as make_classifier
from cvbow.detection import DetectionReport as DetectionReport
from cvbow.detection import ObjectDetector as ObjectDetector
from cvbow.detection import evaluate_detections as evaluate_detections
from cvbow.dictionary import GaussianMixtureDictionary as GaussianMixtureDictionary
from cvbow.dictionary import KMeansDictionary as KMeansDictionary
from cvbow.encoders import LLC as LLC
from cvbow.encoders import VLAD as VLAD
from cvbow.encoders import BagOfWords as BagOfWords
from cvbow.encoders import FisherVector as FisherVector
from cvbow.encoders import SpatialPyramid as SpatialPyramid
from cvbow.errors import CvbowError as CvbowError
from cvbow.errors import DatasetError as DatasetError
from cvbow.errors import ImageError as ImageError
from cvbow.errors import IndexFileError as IndexFileError
from cvbow.errors import ModelFileError as ModelFileError
from cvbow.explanation import Explanation as Explanation
from cvbow.explanation import explain as explain
from cvbow.features import SIFT as SIFT
from cvbow.features import DenseSIFT as DenseSIFT
from cvbow.features import Features as Features
from cvbow.features import LocalFeatures as LocalFeatures
from cvbow.images import ImageList as ImageList
from cvbow.images import list_images as list_images
from cvbow.images import read_image as read_image
from cvbow.index import ImageIndex as ImageIndex
from cvbow.localization import locate as locate
from cvbow.matching import match_images as match_images
from cvbow.presets import PRESETS as PRESETS
from cvbow.presets import make_model as make_model
from cvbow.segmentation import Segmenter as Segmenter

__version__: str
