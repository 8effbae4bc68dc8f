"""Neural networks that others trained: files, what goes into them, and what runs them."""

from cvbow.networks.engines import ENGINES, PROVIDERS, OnnxNetwork, open_network
from cvbow.networks.onnx_file import Layer, OnnxGraph, read_graph
from cvbow.networks.preprocessing import CHANNEL_ORDERS, RESIZES, Preprocessing, find_preprocessing

__all__ = [
    "CHANNEL_ORDERS",
    "ENGINES",
    "PROVIDERS",
    "RESIZES",
    "Layer",
    "OnnxGraph",
    "OnnxNetwork",
    "Preprocessing",
    "find_preprocessing",
    "open_network",
    "read_graph",
]
