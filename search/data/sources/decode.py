"""From the bytes of an image file to a uint8 tensor of the data set's channels and size."""

# torch is partly untyped, and torchvision has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError, refuse

P = ParamSpec("P")
T = TypeVar("T")
CHUNK = 256
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
THREADS_PAY_FROM = 16384
"""Mean bytes per image from which threads decode faster than one loop; on smaller ones they wait for each other."""


class EncodedImages(Protocol):
    """Images of one split that still lie encoded in files; picklable, for the processes that decode them."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of every image, int64 (N,)."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image. Raises `DataError` where there are none."""
        ...

    def where(self, index: int) -> str:
        """The file, and the row in it, for messages."""
        ...

    def key(self, index: int) -> str:
        """A name of the image that no other image has and that stays when the data set moves."""
        ...

    def facts(self, index: int) -> str:
        """What a fingerprint includes of the image without decoding it."""
        ...

    def blocks(self, positions: Tensor) -> tuple[list[Tensor], int] | None:
        """The positions by block that is read at once, and how many blocks a reader keeps; None for single files."""
        ...


def decode(data: bytes) -> Tensor:
    """Decode a JPEG, PNG, WebP or GIF to uint8 (1 or 3, H, W); opacity is dropped, 16 bits become 8.

    Pillow does it: torchvision's own decoders, faster on small images and equal in their result, are deprecated. Raises
    `ValueError` where the bytes are not such an image, or are damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.mode.startswith("I"):  # 16 bits of grey
                pixels = np.asarray(image).astype(np.int32) >> 8
            elif image.mode in ("1", "L", "LA"):
                pixels = np.asarray(image.convert("L"))
            elif "transparency" in image.info:
                pixels = np.asarray(image.convert("RGBA").convert("RGB"))
            else:
                pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise ValueError("it is not a JPEG, PNG, WebP or GIF" if data else "it is empty") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes, np.uint8, order="C"))  # a copy: Pillow's buffer may not be written to


def as_channels(images: Tensor, channels: int) -> Tensor:
    """Grey to colour by repetition, colour to grey by luminance: (..., C, H, W) to (..., channels, H, W)."""
    if images.shape[-3] == channels:
        return images
    if channels == 3:
        return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    from torchvision.transforms.v2.functional import rgb_to_grayscale

    return rgb_to_grayscale(images)


def fit(images: Tensor, size: int, centre_crop: float = 1.0) -> Tensor:
    """Resize the shorter side to size / centre_crop and keep the centre: (..., C, H, W) to (..., C, size, size)."""
    shorter = round(size / centre_crop)
    if images.shape[-2:] == (size, size) and shorter == size:
        return images  # without torchvision, whose import takes seconds
    from torchvision.transforms.v2.functional import center_crop, resize

    if min(images.shape[-2:]) != shorter:
        images = resize(images, [shorter], antialias=True)
    return images if images.shape[-2:] == (size, size) else center_crop(images, [size, size])


def read_image(images: EncodedImages, index: int) -> Tensor:
    """Read and decode one image. Raises `DataError` that names its file and row."""
    return _decoded(images.read(index), images.where(index))


def sample(images: EncodedImages, positions: Sequence[int], problems: list[str]) -> list[Tensor]:
    """Decode some images to look at; those that are damaged are noted and left out."""
    return [image for image in _attempt(images, list(positions), problems) if image is not None]


def decode_all(
    images: EncodedImages, positions: Sequence[int], size: int | None, channels: int | None, centre_crop: float
) -> Tensor:
    """Decode the images at these positions to uint8 (N, C, H, W).

    Without `size` all images must have that of the first; without `channels` the result is grey if all images are.
    There must be at least one position. Raises `DataError` that names the images that are damaged or of another size.
    """
    problems: list[str] = []
    result: Tensor | None = None
    common: tuple[int, int] | None = None
    for start in range(0, len(positions), CHUNK):
        chunk = list(positions[start : start + CHUNK])
        kept: list[Tensor] = []
        for index, image in zip(chunk, _attempt(images, chunk, problems), strict=True):
            if image is None:
                continue
            shape = (image.shape[1], image.shape[2])
            common = common or shape
            if size is not None:
                kept.append(fit(image, size, centre_crop))
            elif shape == common:
                kept.append(image)
            else:
                problems.append(
                    f"{images.where(index)}: the image is {shape[0]}×{shape[1]} pixels where the first is "
                    f"{common[0]}×{common[1]}: set image_size to resize them all."
                )
        if not kept or problems:
            continue  # with a problem nothing will be returned; the rest is read to find more of them
        most = channels or max(image.shape[0] for image in kept)
        if result is None:
            result = torch.empty(len(positions), most, *kept[0].shape[1:], dtype=torch.uint8)
        elif most > result.shape[1]:  # the first colour image after grey ones
            result = as_channels(result, most).contiguous()
        torch.stack([as_channels(image, result.shape[1]) for image in kept], out=result[start : start + len(kept)])
    refuse(problems)
    if result is None:
        raise ValueError("expected at least one image to decode")
    return result


def _attempt(images: EncodedImages, positions: list[int], problems: list[str]) -> Iterator[Tensor | None]:
    """The images, in order; None for one that is damaged."""
    encoded = [_caught(images.read, index) for index in positions]

    def one(index: int, data: bytes | DataError) -> Tensor | DataError:
        return data if isinstance(data, DataError) else _caught(_decoded, data, images.where(index))

    size = sum(len(data) for data in encoded if isinstance(data, bytes))
    with ThreadPoolExecutor() if size >= THREADS_PAY_FROM * len(encoded) else nullcontext() as pool:
        results = list(map(one, positions, encoded) if pool is None else pool.map(one, positions, encoded))
    for result in results:
        if isinstance(result, DataError):
            problems.append(str(result))
            yield None
        else:
            yield result


def _caught(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | DataError:
    try:
        return read(*args, **kwargs)
    except DataError as error:
        return error


def _decoded(data: bytes, where: str) -> Tensor:
    try:
        return decode(data)
    except ValueError as error:
        raise DataError(f"{where}: the image cannot be decoded ({error}): replace it or take it out.") from error
