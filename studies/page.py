"""The page about the claims: what each says, what was found, and how sure that is."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from claims import HERE, PAPERS, Claim
from plot import draw
from results import Finding

from analysis.measures.verdicts import FEWEST, Verdict
from analysis.units import plural

INTRODUCTION = f"""\
# The papers, tried

Every sentence here is a claim of a paper, and what came out when it was tried: two configurations that differ in one
thing, each with several seeds. `make studies` makes the runs that are missing and writes this page, by estimate
three hours of a quiet core for all of them; it may be stopped at any time and goes on the next time.
`make studies ONLY=skips SEEDS=10 MINUTES=30` tries one claim with more seeds for half an hour. The claims are files in
`studies/claims/`, the configurations that they share in `studies/bases/`. Those on CIFAR-10 read its training images
from `data/cifar10/train.parquet` (columns as on the Hugging Face hub), and are left out where that is missing. The runs
are ordinary ones in `runs/studies/` and may be deleted: what was measured is in `studies/results.csv`, where a line
that is deleted is measured again.

**These are small networks, trained for few epochs: on scikit-learn's digits (8×8 pixels, 1079 training images) and,
where it says so, on 2,000 images of CIFAR-10 at 16×16 pixels.** What is seen here need not hold on ImageNet, and what
is not seen here may hold there: *not seen* says that the effect is too small to be told from chance by so many seeds,
and its interval says how large it may still be.

- An effect is the mean difference of pairs with the same seed (the same split, images and candidates), with Student's
  95 % interval; positive is what the paper says. Accuracy is that of the validation images (359, of CIFAR-10 1,000), by
  which no side is chosen, unless it says test.
- *confirmed* and *contrary*: p is below 0.05 after Holm's correction for all claims that were tried. p is that of
  Student's paired test; where the claim is that there is no difference, that of two one-sided tests against a margin.
- *not run yet*: fewer than {FEWEST} pairs. Hours are those of the runs of a claim, on one thread of a machine that
  did other work; claims share runs.
"""


def write_page(file: Path, claims: Sequence[Claim], findings: Sequence[Finding]) -> None:
    """Write the page, and the figure beside it."""
    figure = file.with_suffix(".svg")
    parts = [INTRODUCTION, _summary(findings)]
    if draw(figure, findings):
        words = "Effects in points with their 95 % intervals, by claim; right of zero is what the paper says."
        parts.append(f"![{words}]({figure.name})")
    parts += [_section(paper, claims, findings) for paper in PAPERS]
    parts.append(_bases())
    file.write_text("\n\n".join(part.strip() for part in parts) + "\n", "utf-8")


def _summary(findings: Sequence[Finding]) -> str:
    counts = {each: sum(found.verdict is each for found in findings) for each in Verdict}
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    rows = ["| claim | found | effect | 95 % interval | p, adjusted | pairs |", "|---|---|---|---|---|---|"]
    for found in findings:
        interval = found.effect.interval
        if interval.count:
            p = f"{found.adjusted:.2g}" if found.verdict is not Verdict.NOT_RUN else ""
            ends = f"{_signed(interval.low)} to {_signed(interval.high)}" if interval.known else ""
            effect = f"{_signed(interval.value)} {found.claim.unit}"
            rows.append(f"| `{found.claim.name}` | {_verdict(found)} | {effect} | {ends} | {p} | {interval.count} |")
    return f"## In short\n\nOf {plural(len(findings), 'claim')}: {said}.\n\n" + "\n".join(rows)


def _section(paper: str, claims: Sequence[Claim], findings: Sequence[Finding]) -> str:
    known = {found.claim.name: found for found in findings}
    own = [claim for claim in claims if claim.paper == paper]
    lines = [_sentence(known[claim.name]) if claim.name in known else _not_tried(claim) for claim in own]
    return f"## {PAPERS[paper]}\n\n" + "\n".join(lines)


def _sentence(found: Finding) -> str:
    claim, interval = found.claim, found.effect.interval
    parts = [f"- `{claim.name}`: {claim.claim} (Source: {claim.source}.) ***{_verdict(found)}***"]
    if interval.count:
        ends = f" ({_signed(interval.low)} to {_signed(interval.high)})" if interval.known else ""
        parts.append(f": {_signed(interval.value)} {claim.unit}{ends}; {', '.join(_details(found))}.")
    else:
        parts.append(f": {_wanted(claim)}.")
    return "".join(parts) + (f" {claim.note}" if claim.note else "")


def _details(found: Finding) -> Iterator[str]:
    yield from (f"{name} {_minus(f'{value:.2f}')}" for name, value in found.means.items())
    if found.effect.margin is not None:
        yield f"margin {found.effect.margin:g}"
    if found.claim.table:
        yield f"{found.effect.interval.count} networks of the table `{found.claim.table}`, no training"
        return
    measures = dict.fromkeys(found.claim.measure.values())
    if len(measures) == 1:
        yield next(iter(measures))
    yield f"{plural(found.effect.interval.count, 'seed')}, base `{found.claim.base}`, {found.hours:.2f} hours"


def _wanted(claim: Claim) -> str:
    arms = len({arm.name for arm in claim.arms.values()})
    return f"{plural(arms, 'arm')} of {claim.seeds} seeds on the base `{claim.base}`"


def _not_tried(claim: Claim) -> str:
    return f"- {claim.claim} (Source: {claim.source}.) ***not tried***: it takes {claim.not_tried}."


def _bases() -> str:
    """The bases with what the first line of each file says."""
    lines = ["## Configurations", ""]
    for file in sorted((HERE / "bases").glob("*.yaml")):
        first = file.read_text("utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"- `studies/bases/{file.name}`: {first}")
    return "\n".join(lines)


def _verdict(found: Finding) -> str:
    """The verdict, and what it holds for where that is less than it seems."""
    return f"{found.verdict} ({found.claim.scope})" if found.claim.scope else str(found.verdict)


def _signed(value: float) -> str:
    return _minus(f"{value:+.2f}")


def _minus(text: str) -> str:
    return text.replace("-", "−")
