"""Classifiers of image vectors, models from folder to answer, and measures of both."""

from cvbow.classify.answers import Answers
from cvbow.classify.boosted_trees import BoostedTrees
from cvbow.classify.chooser import Chosen, ModelChooser
from cvbow.classify.cross_probabilities import cross_probabilities
from cvbow.classify.fusion import FusionClassifier
from cvbow.classify.image_classifier import ImageClassifier
from cvbow.classify.images_to_label import ImagesToLabel, images_to_label
from cvbow.classify.kept_images import KeptImages, NearImage
from cvbow.classify.kernel_svm import KernelSVM
from cvbow.classify.label_measures import LabelsReport, average_precision, labels_report, place_sets
from cvbow.classify.label_sets import LabelSets
from cvbow.classify.linear_svm import LinearSVM, TunedLinearSVM
from cvbow.classify.logistic_regression import LogisticRegression
from cvbow.classify.maps import AdditiveMap, HellingerMap
from cvbow.classify.metrics import ClassificationReport, classification_report, place_labels
from cvbow.classify.multi_label import MultiLabelClassifier
from cvbow.classify.prediction_sets import PredictionSets
from cvbow.classify.pretrained import PretrainedClassifier, read_labels
from cvbow.classify.registry import CLASSIFIERS, ClassifierEntry, make_classifier
from cvbow.classify.reliability import Reliability, reliability
from cvbow.classify.strangers import Strangers

__all__ = [
    "CLASSIFIERS",
    "AdditiveMap",
    "Answers",
    "BoostedTrees",
    "Chosen",
    "ClassificationReport",
    "ClassifierEntry",
    "FusionClassifier",
    "HellingerMap",
    "ImageClassifier",
    "ImagesToLabel",
    "KeptImages",
    "KernelSVM",
    "LabelSets",
    "LabelsReport",
    "LinearSVM",
    "LogisticRegression",
    "ModelChooser",
    "MultiLabelClassifier",
    "NearImage",
    "PredictionSets",
    "PretrainedClassifier",
    "Reliability",
    "Strangers",
    "TunedLinearSVM",
    "average_precision",
    "classification_report",
    "cross_probabilities",
    "images_to_label",
    "labels_report",
    "make_classifier",
    "place_labels",
    "place_sets",
    "read_labels",
    "reliability",
]
