"""What a run's configuration says about its data, and what `--data PATH` means; loads no torch."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from search.data.errors import DataError
from search.data.sources.names import IMAGE_SUFFIXES, is_image, is_shards, parquet_files, visible_folders

Known = Literal["digits", "cifar10", "cifar100", "mnist", "fashion-mnist"]
KNOWN: tuple[Known, ...] = get_args(Known)
Fraction = Annotated[float, Field(gt=0, lt=1)]


class DataConfig(BaseModel):
    """Which images a run trains on, how they are cut into splits and how they are augmented.

    A data set's own test split is its test split; where it has only training and validation images (ImageNet), the
    validation images are the test split, and the validation split of the search is cut from the training images. With
    all three present each is what its name says and nothing is cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal[Known, "folder", "parquet", "tar"] = Field(
        default="digits", description="a known data set, or 'folder', 'parquet' or 'tar' for your own in path"
    )
    path: Path | None = Field(
        default=None, description="your own images; for a known data set the folder that holds its files"
    )
    download: bool = Field(default=False, description="fetch a known data set that is not in `path` yet")

    image_size: int | None = Field(default=None, ge=4, description="height and width in pixels; none: as they are")
    channels: Literal[1, 3] | None = Field(default=None, description="1 grey, 3 colour; none: as they are")
    centre_crop: float = Field(
        default=1.0, gt=0, le=1, description="share of the shorter side that is evaluated; 0.875 is usual for ImageNet"
    )

    validation_per_class: int | None = Field(default=None, ge=1, description="validation images of every class")
    validation_fraction: Fraction | None = Field(default=None, description="or their share of every class; else 0.1")
    test_fraction: Fraction = Field(default=0.2, description="share of every class, only where there is no test split")
    train_limit: int | None = Field(default=None, ge=1, description="train on a stratified subset of this size")
    validation_limit: int | None = Field(default=None, ge=1, description="the same for validation")
    test_limit: int | None = Field(default=None, ge=1, description="the same for the test split")

    crop_padding: int | None = Field(
        default=None, ge=0, le=64, description="pixels by which training images shift; none given: 4 for CIFAR, else 0"
    )
    flip: Literal["horizontal", "none"] | None = Field(
        default=None, description="mirror half of the training images; none given: horizontal for CIFAR, else none"
    )
    resized_crop: float | None = Field(
        default=None, gt=0, le=1, description="train on crops of at least this share of the area (ImageNet: 0.08)"
    )
    colour_jitter: float = Field(default=0.0, ge=0, lt=1, description="random brightness, contrast, saturation")
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        default="none", description="a policy of torchvision's that changes each training image after all of these"
    )

    on_damage: Literal["stop", "skip"] = Field(
        default="stop", description="skip: train without images that cannot be decoded, and say how many"
    )
    memory_limit_mb: int = Field(default=2048, ge=0, description="beyond this many MiB, images are streamed from disk")
    cache: Path | None = Field(
        default=None,
        description="a folder, also for several runs, that keeps the decoded validation and test images of streamed "
        "data, and the training images of recalibration, so that no candidate decodes them again",
    )
    shuffle_buffer: int | None = Field(
        default=None,
        ge=1,
        description="images of shards are read in pieces in shuffled order, and mixed among this many; none: as many "
        "as take 512 MiB",
    )
    loader_workers: int | None = Field(
        default=None,
        ge=0,
        description="processes that decode streamed images, of each process that takes them; left out: 2, and for "
        "trainings on GPUs as many as each training worker has cores, up to 8",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: object) -> object:
        """A path without a name is recognised, as `--data PATH` is; the digits would be searched in its place."""
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, object]", values)
        if given.get("path") is None or given.get("name") is not None:
            return given
        return {**given, **recognise(str(given["path"])).model_dump(exclude_unset=True)}

    @field_validator("path", "cache")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        # workers of a cluster run in folders of their own, where a relative path would mean something else
        return None if path is None else Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (keeps links)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.validation_per_class is not None and self.validation_fraction is not None:
            raise ValueError("validation_per_class and validation_fraction exclude each other: give one of them")
        if self.name in ("folder", "parquet", "tar") and self.path is None:
            raise ValueError(f"name is {self.name!r}, so path must say where the images are")
        if self.resized_crop is not None and self.crop_padding:
            raise ValueError("resized_crop and crop_padding exclude each other: give one of them")
        return self

    @property
    def root(self) -> Path:
        """The folder in which a known data set lies, or is downloaded to."""
        if self.path is not None:
            return self.path
        caches = os.environ.get("XDG_CACHE_HOME")
        return (Path(caches) if caches else Path.home() / ".cache") / "binarynas"


def recognise(path: str | Path) -> DataConfig:
    """The configuration that `--data PATH` means.

    A Parquet file or a folder of them gives `parquet`, tar files `tar`, a folder of images `folder`, and the name of a
    known data set that set; see `RECOGNISED` for the layouts. A file or folder takes precedence over a known name.
    Raises `DataError` that lists what is recognised.
    """
    place = Path(path).expanduser()
    if place.is_file() and place.suffix == ".parquet":
        return DataConfig(name="parquet", path=place)
    if place.is_dir():
        if parquet_files(place):
            return DataConfig(name="parquet", path=place)
        if any(is_image(file) for child in visible_folders(place) for at in ("*", "*/*") for file in child.glob(at)):
            return DataConfig(name="folder", path=place)
    if is_shards(place):  # after folders of images, beside which archives may lie
        return DataConfig(name="tar", path=place)
    for name in KNOWN:
        if str(path).lower().replace("_", "-") in (name, name.replace("-", "")):
            return DataConfig(name=name)
    found = "a folder without such content" if place.is_dir() else "a file" if place.is_file() else "not there"
    raise DataError(f"{path} is not a data set that is recognised (it is {found}). {RECOGNISED}")


RECOGNISED = (
    f"Give one of: a known name ({', '.join(KNOWN)}); a .parquet file, or a folder with train*.parquet and, if you "
    "have them, validation*.parquet and test*.parquet (columns as on the Hugging Face hub); tar shards as WebDataset "
    "writes them, as a folder with train*.tar or train/*.tar, or as 'train-{000000..000146}.tar'; a folder of images "
    f"as train/CLASS/* with val/CLASS/* or test/CLASS/*, or just CLASS/* ({', '.join(IMAGE_SUFFIXES)})."
)
