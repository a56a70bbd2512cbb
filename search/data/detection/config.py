"""What a run's configuration says about pictures with boxes, and what `--data PATH` means; loads no torch."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from search.data.errors import DataError

Fraction = Annotated[float, Field(gt=0, lt=1)]
DIGITS = "digits"
COCO = "coco"


class PicturesConfig(BaseModel):
    """Which pictures a detector is trained on, and how they are cut into splits.

    Of COCO's own layout the validation pictures are the test split, and the validation split is cut from the training
    pictures; one file of annotations is cut into all three.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["digits", "coco"] = Field(
        default=DIGITS, description="the built-in set, or 'coco' for a folder in COCO's format"
    )
    path: Path | None = Field(default=None, description="the folder with annotations and images, of 'coco'")
    validation_fraction: Fraction = Field(default=0.1, description="share of the training pictures")
    test_fraction: Fraction = Field(default=0.2, description="share of the pictures, where there is no test split")
    train_limit: int | None = Field(default=None, ge=1, description="train on so many pictures, drawn by the seed")
    validation_limit: int | None = Field(default=None, ge=1)
    test_limit: int | None = Field(default=None, ge=1)
    pictures: int = Field(default=1500, ge=10, le=20000, description="of the built-in set")
    picture_size: int = Field(default=96, ge=64, le=512, description="pixels, of the built-in set")
    threads: int = Field(default=2, ge=1, le=64, description="that read image files ahead")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.name == COCO) != (self.path is not None):
            what = "needs a path" if self.name == COCO else "has no path: leave it out"
            raise ValueError(f"the pictures {self.name!r} {what}")
        return self


def recognise_pictures(path: str) -> PicturesConfig:
    """What `--data PATH` means for a detector: `digits`, or a folder in COCO's format. Raises `DataError`."""
    place = Path(path).expanduser()
    if place.is_dir():
        return PicturesConfig(name=COCO, path=place.absolute())
    if path == DIGITS:
        return PicturesConfig()
    what = "is a file" if place.exists() else "is not there"
    raise DataError(
        f"{path} {what}; give {DIGITS}, or a folder in COCO's format: annotations/instances_train*.json and "
        "instances_val*.json beside the folders train* and val*, or one annotation file beside images/"
    )
