"""How cells become a network: the template of BNAS (section 2.2 of v2, figure 2b), for CIFAR-10 and for ImageNet."""

from dataclasses import replace
from typing import Literal

from spaces.cell.architecture import Edge, Genotype
from spaces.cell.declaration import CellDeclaration
from spaces.cell.plan import CellPlan, EdgePlan, LayerPlan, NetworkPlan

STEM_MULTIPLIER = 3  # the stem for small images has three times the width of the first cells
KERNEL_SIZES = {"dil3": 3, "dil5": 5, "conv3": 3, "conv5": 5}
DILATION = 2


def reductions(cells: int) -> tuple[int, int]:
    """The places, counted from 0, of the two reduction cells: at one and two thirds of the depth.

    >>> reductions(20)
    (6, 13)
    """
    return cells // 3, 2 * cells // 3


def network_plan(space: CellDeclaration, genotype: Genotype) -> NetworkPlan:
    """The final network of a genotype; see `CellSpace` for the template."""
    stem = _stem(space)
    first_inputs = (len(stem) - 2, len(stem) - 1) if space.template == "imagenet" else (0, 0)
    before_last, last = ((stem[place].cout, stem[place].out_size) for place in first_inputs)
    width = space.width
    cells: list[CellPlan] = []
    for number in range(space.cells):
        reduction = number in reductions(space.cells)
        width *= 2 if reduction else 1
        cell = _cell(space, genotype, number, width, before_last, last)
        cells.append(cell)
        before_last, last = last, (cell.out_channels, cell.out_size)
    linear = LayerPlan("linear", "linear", last[0], space.classes, kernel_size=1, stride=1, in_size=1, out_size=1)
    return NetworkPlan(stem, first_inputs, tuple(cells), linear)


def _stem(space: CellDeclaration) -> tuple[LayerPlan, ...]:
    """Float 3x3 convolutions: one of stride 1 for small images, three of stride 2 for large ones."""
    size, cin, width = space.image_size, space.channels, space.width
    if space.template == "cifar":
        return (_convolution("stem1", "float", cin, STEM_MULTIPLIER * width, 3, 1, size),)
    return (
        _convolution("stem1", "float", cin, width // 2, 3, 2, size),
        _convolution("stem2", "float", width // 2, width, 3, 2, size // 2),
        _convolution("stem3", "float", width, width, 3, 2, size // 4),
    )


def _cell(
    space: CellDeclaration,
    genotype: Genotype,
    number: int,
    width: int,
    before_last: tuple[int, int],
    last: tuple[int, int],
) -> CellPlan:
    """One cell; its inputs are channels and size of the outputs that it reads."""
    name = f"cell{number + 1}"
    reduction = number in reductions(space.cells)
    genes = genotype.reduce if reduction else genotype.normal
    size = last[1]
    out_size = size // 2 if reduction else size
    out_channels = len(genes.nodes) * width
    halved = before_last[1] != size  # after a reduction the older input is twice as large
    inputs = (
        _convolution(
            f"{name}.input1", "binary", before_last[0], width, *((3, 2) if halved else (1, 1)), before_last[1]
        ),
        _convolution(f"{name}.input2", "binary", last[0], width, 1, 1, size),
    )

    def edge_plan(node: int, place: int, edge: Edge) -> EdgePlan:
        stride = 2 if reduction and edge.source < len(inputs) else 1
        in_size = size if edge.source < len(inputs) else out_size
        return EdgePlan(
            _edge(f"{name}.node{node}.edge{place}", edge, width, stride, in_size, space.groups), edge.source
        )

    nodes = tuple(
        (edge_plan(node, 1, edges[0]), edge_plan(node, 2, edges[1])) for node, edges in enumerate(genes.nodes, 1)
    )
    skip: Literal["none", "identity", "convolution"] = "none"
    if space.inter_cell_skip and number > 0:
        skip = "convolution" if reduction else "identity"
    skip_layer = None
    if skip == "convolution":
        skip_layer = LayerPlan(f"{name}.skip", "float", last[0], out_channels, 2, 2, size, out_size)
    return CellPlan(name, reduction, inputs, nodes, skip, skip_layer, width, out_channels, out_size)


def _edge(name: str, edge: Edge, width: int, stride: int, size: int, groups: int) -> LayerPlan:
    if edge.layer in KERNEL_SIZES:
        plan = _convolution(name, "binary", width, width, KERNEL_SIZES[edge.layer], stride, size)
        dilation = DILATION if edge.layer.startswith("dil") else 1
        return replace(plan, padding=dilation * plan.padding, dilation=dilation, groups=groups)
    if edge.layer == "none":
        return LayerPlan(name, "none", width, width, 1, stride, size, size // stride)
    return LayerPlan(
        name, "max" if edge.layer == "max" else "avg", width, width, 3, stride, size, size // stride, padding=1
    )


def _convolution(
    name: str, kind: Literal["float", "binary"], cin: int, cout: int, kernel_size: int, stride: int, size: int
) -> LayerPlan:
    """A convolution whose output is as large as its input, divided by the stride."""
    return LayerPlan(name, kind, cin, cout, kernel_size, stride, size, size // stride, padding=(kernel_size - 1) // 2)
