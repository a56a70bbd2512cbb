"""The data sets with a name: scikit-learn's digits, and torchvision's CIFAR, MNIST and Fashion-MNIST."""

# torch is partly untyped; scikit-learn and torchvision have no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from pathlib import Path

import numpy as np
import torch

from search.data.errors import DataError
from search.data.sources.source import DecodedImages, Source


def digits_source() -> Source:
    """The 1797 handwritten digits of scikit-learn, grey 8×8; 0..16 becomes 0..255. Comes with the package."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels) * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    names = tuple(str(digit) for digit in range(10))
    return Source("digits", names, {"train": _decoded(images, np.asarray(labels, dtype=np.int64))})


def torchvision_source(name: str, root: Path, *, download: bool) -> Source:
    """One of torchvision's data sets, from the files in `root`, downloaded there if `download` allows.

    CIFAR's files are pickles; torchvision compares their MD5 with the published ones before it opens them, so that
    only the published files are unpickled. MNIST's are plain arrays. Raises `DataError` where the files are missing or
    damaged and may not, or cannot, be downloaded.
    """
    from torchvision import datasets

    kinds = {
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
        "mnist": datasets.MNIST,
        "fashion-mnist": datasets.FashionMNIST,
    }
    splits: dict[str, DecodedImages] = {}
    names: list[str] = []
    for split in ("train", "test"):
        try:
            found = kinds[name](root, train=split == "train", download=download)
        except (RuntimeError, OSError, ValueError, TypeError, AssertionError) as error:
            if download:
                remedy = f"and downloading failed ({str(error).splitlines()[0]}): put its files there yourself"
            else:
                remedy = "set download to fetch it, or path to the folder where it is"
            raise DataError(f"{name}: not found, or damaged, in {root}; {remedy}.") from error
        images = np.asarray(found.data)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        splits[split] = _decoded(images, np.asarray(found.targets, dtype=np.int64))
        names = [str(name) for name in found.classes]
    return Source(name, tuple(names), splits)


def _decoded(images: np.ndarray, labels: np.ndarray) -> DecodedImages:
    return DecodedImages(torch.from_numpy(np.ascontiguousarray(images)), labels)
