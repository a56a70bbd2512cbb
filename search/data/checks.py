"""What is looked at in images beforehand: damage that may be skipped, the range of values, a content at all."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from torch import Tensor

from search.data.errors import DataError, refuse
from search.data.sources.decode import EncodedImages, brightest, measures, white_of
from search.data.sources.source import DecodedImages, Images, Source
from search.data.splits import Positions

LOOKED_AT = 32
"""Images of each split that say whether the data set has more than 8 bits."""
LONG = 3
"""How many times as long as wide an image is whose ends are worth a word: the shorter side is fitted to the size."""
MOST_DAMAGED = 0.1
"""The share of images that may be skipped: where more are damaged, something else is wrong."""


def may_skip(broken: list[str], count: int) -> list[str]:
    """What to say of damaged images that are skipped, of so many in all; raises `DataError` where they are too many."""
    if not broken:
        return []
    if len(broken) > max(1, MOST_DAMAGED * count):
        refuse([f"{len(broken)} of {count} images are damaged, which is more than on_damage: skip allows.", *broken])
    return [f"{len(broken)} damaged image{'s' if len(broken) > 1 else ''} skipped ({broken[0].rstrip('.')})"]


def require_classes(source: Source, labels: Mapping[str, Tensor]) -> None:
    """Raise `DataError` where images were skipped and a class has none left."""
    for part, values in labels.items():
        missing = set(range(len(source.class_names))) - set(values.numpy().tolist())
        if part == "train" and missing:
            names = ", ".join(source.class_names[label] for label in sorted(missing))
            raise DataError(f"{source.name}: without damaged images the {part} split has none of class {names}.")


def white_value(parts: Iterable[tuple[Images, Positions]], most: int | None) -> float | None:
    """The brightest value of a data set with images of more than 8 bits; None for all others. The first images of every
    split say whether there are any, and then `most` images of each the value (None: all of them)."""
    encoded = [(images, where) for images, where in parts if not isinstance(images, DecodedImages)]
    if not any(_brightest(images, where[:LOOKED_AT]) for images, where in encoded):
        return None
    found = [value for images, where in encoded for value in _brightest(images, where[:most])]
    return white_of(max(found))


def _brightest(images: EncodedImages, positions: Positions) -> list[float]:
    found: list[float] = []
    for index in positions.tolist():
        with suppress(DataError):  # said when it is decoded
            value = brightest(images.read(index))
            found += [] if value is None else [value]
    return found


def cut_away(parts: Iterable[tuple[Images, Positions]]) -> list[str]:
    """What to say of the first images of every split whose content is seen only in part."""
    found: list[tuple[int, int, int]] = []
    for images, where in parts:
        if isinstance(images, DecodedImages):
            continue
        for index in where[:LOOKED_AT].tolist():
            with suppress(DataError):  # said when it is decoded
                found += [each for each in [measures(images.read(index))] if each is not None]
    long = sum(max(width, height) > LONG * min(width, height) for width, height, _ in found)
    several = sum(frames > 1 for *_, frames in found)
    told = (
        (long, f"are more than {LONG} times as long as wide: only the square in their middle is seen"),
        (several, "have several frames or pages: only the first is seen"),
    )
    return [f"note: {count} of {len(found)} images that were looked at {what}" for count, what in told if count]


def require_contrast(source: Source, images: Tensor, std: tuple[float, ...]) -> list[str]:
    """Raise `DataError` where training images show nothing; else what to say of those of one colour.

    `images` is uint8 (N, C, H, W), some training images; `std` is the deviation of all, in parts of white.
    """
    if max(std) <= 1 / 255:
        raise DataError(
            f"{source.name}: the training images are all of one colour, or nearly so (their values differ by less than "
            "one of 255 levels on average): nothing can be learned from them. Do they use little of their range of "
            "values, or is their content in a part that is not read, such as a mask?"
        )
    if len(images) > 1 and bool((images == images[:1]).all()):
        raise DataError(f"{source.name}: the training images are all the same: nothing can be learned from them.")
    flat = int((images.flatten(1).amax(1) == images.flatten(1).amin(1)).sum())
    return (
        []
        if not flat
        else [f"note: {flat} of {len(images)} training images that were looked at are of a single colour"]
    )
