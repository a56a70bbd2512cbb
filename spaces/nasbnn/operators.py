"""Mutation, crossover and neighbours of NAS-BNN architectures. Each returns members, by construction."""

import random
from collections.abc import Iterator, Sequence
from itertools import product

from spaces.nasbnn.architecture import Architecture, Layer
from spaces.nasbnn.declaration import INFINITE, NasBnnDeclaration, Stage


def fit(space: NasBnnDeclaration, stem: int, stages: Sequence[Sequence[Layer]]) -> Architecture:
    """See `NasBnnSpace.fit`."""
    if not space.non_decreasing:
        return Architecture(stem, tuple(tuple(layers) for layers in stages))
    limits = space.caps
    before = stem = min(stem, limits[0])
    fitted: list[tuple[Layer, ...]] = []
    for layers, stage, limit in zip(stages, space.stages, limits[1:], strict=True):
        row: list[Layer] = []
        widths = sorted(layer.width for layer in layers)
        for layer, wanted in zip(layers, widths, strict=True):
            before = min(width for width in stage.widths if width >= min(max(wanted, before), limit))
            row.append(layer._replace(width=before))
        fitted.append(tuple(row))
    return Architecture(stem, tuple(fitted))


def draw_genes(space: NasBnnDeclaration, rng: random.Random) -> Architecture:
    """See `NasBnnSpace.sample_genes`."""
    limits = space.caps if space.non_decreasing else (INFINITE,) * (1 + len(space.stages))
    before = stem = rng.choice([width for width in space.stem_widths if width <= limits[0]])
    stages: list[tuple[Layer, ...]] = []
    for stage, limit in zip(space.stages, limits[1:], strict=True):
        row: list[Layer] = []
        for _ in range(rng.choice(stage.depths)):
            before = rng.choice(_between(space, stage.widths, before, limit))
            row.append(_of_width(before, stage, rng))
        stages.append(tuple(row))
    return Architecture(stem, tuple(stages))


def mutate(
    space: NasBnnDeclaration, architecture: Architecture, rng: random.Random, probability: float
) -> Architecture:
    """A member, perhaps the same: every stage's depth and every layer's genes are drawn again with `probability`, each
    width between the widths on both sides of it."""
    stem = architecture.stem
    stages = [list(layers) for layers in architecture.stages]
    for number, stage in enumerate(space.stages):
        if rng.random() < probability:
            _set_depth(space, stem, stages, number, rng.choice(stage.depths), rng)
    if rng.random() < probability:
        stem = rng.choice(_between(space, space.stem_widths, 0, stages[0][0].width))
    for number, layers in enumerate(stages):
        for place in range(len(layers)):
            if rng.random() < probability:
                layers[place] = _draw(space, stem, stages, number, place, rng)
    return Architecture(stem, tuple(tuple(layers) for layers in stages))


def crossover(space: NasBnnDeclaration, first: Architecture, second: Architecture, rng: random.Random) -> Architecture:
    """See `NasBnnSpace.crossover`."""
    stem = rng.choice((first.stem, second.stem))
    stages: list[list[Layer]] = []
    for ours, theirs in zip(first.stages, second.stages, strict=True):
        depth = len(rng.choice((ours, theirs)))
        stages.append([rng.choice([s[place] for s in (ours, theirs) if place < len(s)]) for place in range(depth)])
    return fit(space, stem, stages)


def neighbours(space: NasBnnDeclaration, architecture: Architecture) -> Iterator[Architecture]:
    """See `NasBnnSpace.neighbours`."""
    stages = architecture.stages

    def changed(number: int, layers: tuple[Layer, ...]) -> Architecture:
        return Architecture(architecture.stem, (*stages[:number], layers, *stages[number + 1 :]))

    for width in _between(space, space.stem_widths, 0, stages[0][0].width):
        if width != architecture.stem:
            yield Architecture(width, stages)
    for number, (layers, stage) in enumerate(zip(stages, space.stages, strict=True)):
        for place, layer in enumerate(layers):
            low, high = _sides(architecture.stem, stages, number, place)
            for width in _between(space, stage.widths, low, high):
                for other in (
                    layer._replace(width=width),
                    *(layer._replace(kernel_size=k) for k in stage.kernel_sizes if width == layer.width),
                    *(layer._replace(groups=g) for g in stage.groups if width == layer.width),
                    *(layer._replace(excite=e) for e in stage.excites if width == layer.width),
                ):
                    if other != layer:
                        yield changed(number, (*layers[:place], other, *layers[place + 1 :]))
        if len(layers) - 1 in stage.depths:
            yield changed(number, layers[:-1])
        if len(layers) + 1 in stage.depths:
            low, high = _sides(
                architecture.stem, [*stages[:number], (*layers, layers[-1]), *stages[number + 1 :]], number, len(layers)
            )
            for width in _between(space, stage.widths, low, high):
                for genes in product(stage.kernel_sizes, stage.groups, stage.excites):
                    yield changed(number, (*layers, Layer(width, *genes)))


def _set_depth(
    space: NasBnnDeclaration, stem: int, stages: list[list[Layer]], number: int, depth: int, rng: random.Random
) -> None:
    """Cut a stage at its end, or draw new layers there."""
    layers = stages[number]
    del layers[depth:]
    while len(layers) < depth:
        layers.append(layers[-1])  # a member already; the draw below looks at both of its sides
        layers[-1] = _draw(space, stem, stages, number, len(layers) - 1, rng)


def _draw(
    space: NasBnnDeclaration, stem: int, stages: Sequence[Sequence[Layer]], number: int, place: int, rng: random.Random
) -> Layer:
    """New genes for one layer, with a width between those on both sides."""
    stage = space.stages[number]
    return _of_width(rng.choice(_between(space, stage.widths, *_sides(stem, stages, number, place))), stage, rng)


def _of_width(width: int, stage: Stage, rng: random.Random) -> Layer:
    """A layer whose other genes are drawn."""
    kernel_size, groups = rng.choice(stage.kernel_sizes), rng.choice(stage.groups)
    # no draw without a choice, so that spaces without squeeze-and-excites give the members they always gave
    excite = stage.excites[-1]
    if len(stage.excites) > 1:
        excite = rng.choice(stage.excites)
    return Layer(width, kernel_size, groups, excite)


def _sides(stem: int, stages: Sequence[Sequence[Layer]], number: int, place: int) -> tuple[int, int]:
    """The widths before and after a layer."""
    layers = stages[number]
    before = layers[:place] or (stages[number - 1] if number > 0 else ())
    after = layers[place + 1 :] or (stages[number + 1] if number + 1 < len(stages) else ())
    return before[-1].width if before else stem, after[0].width if after else INFINITE


def _between(space: NasBnnDeclaration, widths: Sequence[int], low: int, high: int) -> list[int]:
    return [width for width in widths if low <= width <= high or not space.non_decreasing]
