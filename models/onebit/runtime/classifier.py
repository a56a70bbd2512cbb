"""Classes of images that are numpy arrays, by the network in a `.bnn` file."""

from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from models.onebit.engine import Backend, Engine, Layout
from models.onebit.file import Model, read_model
from models.onebit.operations import Floats
from spaces.errors import BinarynasError

Array = npt.NDArray[np.generic]


class ImageError(BinarynasError, ValueError):
    """Images that a network does not read: says what was given and what it reads."""


def normalised(model: Model, pixels: npt.NDArray[np.uint8], layout: Layout = Layout.NHWC) -> Floats:
    """Pixels from 0 to 255 as a model's program reads them: scaled to 0..1, less the mean, over the deviation."""
    shape = (-1,) if layout is Layout.NHWC else (-1, 1, 1)
    mean, std = (np.array(values, np.float32).reshape(shape) for values in (model.mean, model.std))
    return (pixels.astype(np.float32) / np.float32(255) - mean) / std


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """The probability of each class: (..., classes), in float64, so that they add up to 1."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


class Classifier:
    """The network in a `.bnn` file, ready to run.

    Images lie as cameras and Pillow give them, (N, height, width, channels), of the network's own size, `shape`. An
    image alone may do without N, and grey ones without channels. Those of uint8 are pixels from 0 to 255; floats are
    taken to be `normalised` already. Methods may be called from several threads. Raises `BnnFileError`.

    >>> network = Classifier("model.bnn")  # doctest: +SKIP
    >>> network.classify(np.load("three.npy"))  # doctest: +SKIP
    [('3', 0.98)]
    """

    def __init__(self, path: Path | str, backend: Backend = Backend.BEST) -> None:
        self.model = read_model(path)
        self.engine = Engine(self.model.program, backend)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        channels, height, width = self.model.program.image
        return height, width, channels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the logits."""
        return self.model.class_names

    def logits(self, images: Array, threads: int = 1) -> Floats:
        """Logits (N, classes), float32: the same bits on every machine. Raises `ImageError`."""
        batch = self._batch(np.asarray(images))
        if batch.dtype == np.uint8:
            batch = normalised(self.model, cast("npt.NDArray[np.uint8]", batch))
        elif not np.isfinite(cast("Floats", batch)).all():
            raise ImageError("images hold numbers that are not finite; look at where they come from")
        return self.engine(cast("Floats", batch), Layout.NHWC, threads)

    def classify(self, images: Array, threads: int = 1) -> list[tuple[str, float]]:
        """The likeliest class of each image, and its probability. Raises `ImageError`."""
        found = softmax(self.logits(images, threads))
        return [(self.class_names[best], float(row[best])) for best, row in zip(found.argmax(1), found, strict=True)]

    def _batch(self, images: Array) -> Array:
        """The images as (N, H, W, C), once type and shape are right."""
        shape, given = self.shape, images.shape
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise ImageError(
                f"images must be uint8, pixels from 0 to 255, or floats that are normalised already, not {images.dtype}"
            )
        alone = [shape, shape[:2]] if shape[2] == 1 else [shape]
        if given in alone:
            return images.reshape(1, *shape)
        if given[1:] in alone:
            return images.reshape(-1, *shape) if len(images) else np.empty((0, *shape), images.dtype)
        size = "×".join(map(str, shape))
        raise ImageError(
            f"an image must have the shape {size} (height, width, channels), alone or in a batch, but these have "
            f"{'×'.join(map(str, given)) or 'none'}; resize or cut them"
        )
