"""Runs binary neural networks from `.bnn` files, as `binarynas export` writes them, with numpy alone.

>>> import binarynas_runtime
>>> network = binarynas_runtime.Classifier("model.bnn")
>>> network.classify(pixels)  # uint8, (images, height, width, channels)
[('3', 0.98)]

`Engine`, `Layout`, `Backend`, `Model` and `read_model` are those of `binarynas.models`. It may be installed beside
binarynas, and shares nothing with it but the folder where engines are kept that were compiled here.
"""

from models.onebit.engine import Backend, Engine, Layout
from models.onebit.file import Model, read_model
from models.onebit.header import BnnFileError
from models.onebit.runtime.classifier import Classifier, ImageError, normalised, softmax
from spaces.errors import BinarynasError

__all__ = [
    "Backend",
    "BinarynasError",
    "BnnFileError",
    "Classifier",
    "Engine",
    "ImageError",
    "Layout",
    "Model",
    "normalised",
    "read_model",
    "softmax",
]
