"""From the bytes of an image file to a uint8 tensor of the data set's channels and size."""

# torch is partly untyped, and torchvision has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

P = ParamSpec("P")
T = TypeVar("T")
CHUNK = 256
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
BACKGROUND = 128
"""The grey behind what is transparent: black and white shapes both stand out from it."""
WHITES = (1.0, *(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 32)))
"""The brightest values that images of more than 8 bits may have; 1 is that of floats."""
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

    def blocks(self, positions: Tensor) -> "Blocks | None":
        """These positions, ascending, by what is read at once; None where every image is a file of its own."""
        ...

    def read_block(self, indices: Sequence[int]) -> list["bytes | DataError"]:
        """The encoded bytes of images of one block, read at once; what is wrong with those that have none."""
        ...


@dataclass(frozen=True)
class Blocks:
    """Positions of images, int64 and ascending, by the part of a shard that has them; the mean bytes of an encoded
    image; and whether images can as well be read one by one."""

    parts: tuple[Tensor, ...]
    image_bytes: float
    singly: bool


@dataclass(frozen=True)
class Fitting:
    """What decoded images become: height and width, channels (None: as they are), the share of the shorter side that is
    kept, and the brightest value of images of more than 8 bits."""

    size: int | None
    channels: int | None
    centre_crop: float
    white: float | None


def decode(data: bytes, white: float | None = None) -> Tensor:
    """Decode an image to uint8 (1 or 3, H, W), upright as its orientation mark says, on grey where it is transparent.
    In memory the channels of a pixel lie together, as decoders have them: crops and resizes read them so, and only what
    is left of an image is brought into torch's usual order.

    Of images with more than 8 bits, `white` is the brightest value that the data set has (see `white_of`); None takes
    that of 16 bits. Pillow does it: torchvision's own decoders, faster on small images and equal in their result, are
    deprecated. Raises `ValueError` where the bytes are not such an image, or are damaged.
    """
    with _opened(data) as image:
        if _is_deep(image):
            pixels = _eight_bits(np.asarray(image), WHITES[5] if white is None else white)
        else:
            flat = _composed(image) if _is_transparent(image) else image
            mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
            pixels = np.asarray(flat if flat.mode == mode else flat.convert(mode))
    own = torch.from_numpy(np.array(pixels, np.uint8, order="C"))  # a copy: Pillow's buffer may not be written to
    return own[None] if own.ndim == 2 else own.permute(2, 0, 1)


def measures(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and number of frames or pages of an image, of which only the beginning is read; None for what is no
    image."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return *image.size, int(getattr(image, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None


def brightest(data: bytes) -> float | None:
    """The largest value of an image of more than 8 bits; None for every other one, and for what is no image."""
    try:
        with _opened(data) as image:
            return float(np.asarray(image).max()) if _is_deep(image) else None
    except ValueError:
        return None


def white_of(largest: float) -> float:
    """The brightest value that images may have whose largest one is this: 12-bit images lie in files of 16 bits."""
    return next((white for white in WHITES if largest <= white), WHITES[-1])


@contextmanager
def _opened(data: bytes) -> Generator["Image"]:
    """The image, upright; whatever is wrong with it is a `ValueError`."""
    import struct

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            with suppress(SyntaxError, ValueError, TypeError, KeyError, AttributeError, struct.error):  # a damaged mark
                ImageOps.exif_transpose(image, in_place=True)
            yield image
    except UnidentifiedImageError as error:
        raise ValueError("it is not a JPEG, PNG, WebP, GIF, BMP or TIFF" if data else "it is empty") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def _is_deep(image: "Image") -> bool:
    """Whether it has one channel of more than 8 bits, or of floats."""
    return image.mode.startswith(("I", "F"))


def _is_transparent(image: "Image") -> bool:
    return "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _composed(image: "Image") -> "Image":
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255)), layer)


def _eight_bits(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("it has values below zero, or that are no numbers")
    scaled = np.rint(values * 255.0) if white == 1 else values * (256 / (white + 1))
    return np.minimum(scaled, 255).astype(np.uint8)


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


def read_image(images: EncodedImages, index: int, white: float | None = None) -> Tensor:
    """Read and decode one image. Raises `DataError` that names its file and row."""
    return decode_image(images.read(index), images.where(index), white)


def sample(
    images: EncodedImages, positions: Sequence[int], problems: list[str], white: float | None = None
) -> list[Tensor]:
    """Decode some images to look at; those that are damaged are noted and left out."""
    found = list(_attempt(images, list(positions), white))
    problems += [each for each in found if isinstance(each, str)]
    return [each for each in found if isinstance(each, Tensor)]


def decode_all(
    images: EncodedImages,
    positions: Sequence[int],
    fitting: Fitting,
    problems: list[str],
    damaged: dict[int, str],
) -> Tensor:
    """Decode the images at these positions to uint8 (N, C, H, W), without those that are damaged: `damaged` gets their
    places among the positions, and what is wrong with each.

    Adds to `problems` those of another size where they are not resized; the result is then of no use.
    """
    result: Tensor | None = None
    common: tuple[int, int] | None = None
    filled = 0
    for start in range(0, len(positions), CHUNK):
        chunk = list(positions[start : start + CHUNK])
        kept: list[Tensor] = []
        for place, image in enumerate(_attempt(images, chunk, fitting.white), start):
            if isinstance(image, str):
                damaged[place] = image
                continue
            shape = (image.shape[1], image.shape[2])
            common = common or shape
            if fitting.size is not None:
                kept.append(fit(image, fitting.size, fitting.centre_crop))
            elif shape == common:
                kept.append(image)
            else:
                problems.append(
                    f"{images.where(positions[place])}: the image is {shape[0]}×{shape[1]} pixels where the first is "
                    f"{common[0]}×{common[1]}: set image_size to resize them all."
                )
        if not kept:
            continue
        most = fitting.channels or max(image.shape[0] for image in kept)
        if result is None:
            result = torch.empty(len(positions), most, *kept[0].shape[1:], dtype=torch.uint8)
        elif most > result.shape[1]:  # the first colour image after grey ones
            result = as_channels(result, most).contiguous()
        torch.stack([as_channels(image, result.shape[1]) for image in kept], out=result[filled : filled + len(kept)])
        filled += len(kept)
    return torch.empty(0, fitting.channels or 1, 1, 1, dtype=torch.uint8) if result is None else result[:filled]


def _attempt(images: EncodedImages, positions: list[int], white: float | None) -> Iterator[Tensor | str]:
    """The images, in order; what is wrong with one that is damaged."""
    encoded = [caught(images.read, index) for index in positions]

    def one(index: int, data: bytes | DataError) -> Tensor | DataError:
        return data if isinstance(data, DataError) else caught(decode_image, data, images.where(index), white)

    size = sum(len(data) for data in encoded if isinstance(data, bytes))
    with ThreadPoolExecutor() if size >= THREADS_PAY_FROM * len(encoded) else nullcontext() as pool:
        results = list(map(one, positions, encoded) if pool is None else pool.map(one, positions, encoded))
    for result in results:
        yield str(result) if isinstance(result, DataError) else result


def caught(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | DataError:
    """What a function gives, or the `DataError` that it raises."""
    try:
        return read(*args, **kwargs)
    except DataError as error:
        return error


def decode_image(data: bytes, where: str, white: float | None) -> Tensor:
    """Decode the bytes of the image that lies there. Raises `DataError` that says where."""
    try:
        return decode(data, white)
    except ValueError as error:
        raise DataError(
            f"{where}: the image cannot be decoded ({error}): replace it, take it out, or set on_damage: skip."
        ) from error
