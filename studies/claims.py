"""The claims of papers as files: what is compared, by which measure, and the runs that it takes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from search.config.loading import check_config, parse_yaml, set_values
from search.config.run import RunConfig

HERE = Path(__file__).resolve().parent
PAPERS = {
    "nasbnn": "NAS-BNN",
    "cifar": "NAS-BNN, on CIFAR-10",
    "ranks": "One-shot ranking, and how subnets are drawn",
    "bnas": "BNAS and BNAS v2",
    "widths": "Width search",
    "ours": "Of this platform",
    "large": "What needs ImageNet",
}
"""The parts of the page by the folders of their claims, in its order."""
Values = dict[str, Any]


class ClaimError(ValueError):
    """A file of a claim that says something impossible."""


@dataclass(frozen=True)
class Arm:
    """A configuration of one side of a comparison, without its seed."""

    base: str
    values: str  # as canonical JSON, so that equal arms of several claims are one

    @property
    def name(self) -> str:
        """A name that its configuration alone decides: equal arms share their runs."""
        return f"{self.base}-{hashlib.sha256(self.values.encode()).hexdigest()[:8]}"

    def run(self, seed: int) -> str:
        """The name of its run with a seed."""
        return f"{self.name}-{seed}"

    @property
    def images(self) -> Path | None:
        """The file of images that its runs read, from where the command is given; None where a library has them."""
        path = json.loads(self.values)["data"].get("path")
        return None if path is None else Path(path)

    def config(self, seed: int) -> RunConfig:
        """The configuration of its run with a seed. Raises `ConfigError`."""
        return check_config({**json.loads(self.values), "seed": seed}, self.name)


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper.

    The effect is the sum of the arms' `measure`, times their weights in `contrast`: positive is what the paper says,
    in `unit`. With `margin`, the paper says that there is no difference to speak of. A claim on a `table` has no arms:
    its measure is a difference for each of many networks. `reference` names an arm that the others are ranked against.
    `scope` is added to the verdict, where it holds for less than it seems.
    """

    name: str
    paper: str
    claim: str
    source: str
    measure: Mapping[str, str] = field(default_factory=dict)
    unit: str = "points"
    base: str = ""
    arms: Mapping[str, Arm] = field(default_factory=dict)
    contrast: Mapping[str, float] = field(default_factory=dict)
    reference: str | None = None
    seeds: int = 5
    margin: float | None = None
    table: str | None = None
    scope: str = ""
    note: str = ""
    not_tried: str = ""

    def sides(self) -> Iterator[tuple[str, Arm, str]]:
        """Every arm of the contrast: its name, the arm, and its measure."""
        for name in self.contrast:
            yield name, self.arms[name], self.measure[name]


def load_claims(folder: Path = HERE / "claims") -> list[Claim]:
    """Every claim, in the order of papers and names. Raises `ClaimError` or `ConfigError`."""
    claims = [read_claim(file, paper) for paper in PAPERS for file in sorted((folder / paper).glob("*.yaml"))]
    names = [claim.name for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ClaimError(f"two claims have the name {twice[0]}: rename one of the files in {folder}")
    return claims


def read_claim(file: Path, paper: str) -> Claim:
    """The claim of a file."""
    values: Values = parse_yaml(file.read_text("utf-8"), str(file))
    unknown = values.keys() - Claim.__dataclass_fields__.keys()
    if unknown or not {"claim", "source"} <= values.keys():
        raise ClaimError(f"{file}: a claim has claim and source, and of {', '.join(Claim.__dataclass_fields__)}")
    if values.get("not_tried") or values.get("table"):
        measure = {"table": values.pop("measure")} if "measure" in values else {}
        return Claim(name=file.stem, paper=paper, measure=measure, **values)
    given, base = values.pop("arms", {}), values.get("base", "")
    arms = {name: make_arm(base, changes or {}) for name, changes in given.items()}
    measure, contrast = values.pop("measure", None), values.get("contrast", {})
    if not contrast or {*contrast, values.get("reference") or next(iter(contrast))} - arms.keys():
        raise ClaimError(f"{file}: contrast gives a weight to arms; they are {', '.join(arms) or 'none'}")
    measures = measure if isinstance(measure, dict) else dict.fromkeys(contrast, measure)
    if any(not measures.get(name) for name in contrast):
        raise ClaimError(f"{file}: measure names one for all arms, or one for each")
    return Claim(name=file.stem, paper=paper, arms=arms, measure=measures, **values)


def make_arm(base: str, changes: Values) -> Arm:
    """What a base's configuration becomes with some changes; a change to null leaves the base's value out."""
    values = set_values(json.loads(_base(base)), changes, ())
    return Arm(base, json.dumps(values, sort_keys=True))


@cache
def _base(name: str) -> str:
    file = HERE / "bases" / f"{name}.yaml"
    if not file.is_file():
        raise ClaimError(f"there is no base {name!r} among {', '.join(sorted(f.stem for f in file.parent.glob('*')))}")
    return json.dumps(parse_yaml(file.read_text("utf-8"), str(file)))
