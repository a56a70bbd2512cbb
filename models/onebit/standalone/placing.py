"""Where the tensors of a network in C lie: in few floats, as a place is used again once nobody reads it any more."""

from collections.abc import Sequence

from models.onebit.operations import PLAIN, BinaryConvolution, Pointwise, Product, inputs_of
from models.onebit.program import Program


def place(program: Program) -> tuple[list[int], int]:
    """The first float of every tensor but the logits, which the caller keeps, and how many floats that takes in all.

    Tensors that are needed at the same time lie apart, with two exceptions. A binary convolution packs the bits of its
    input before it writes anything, so its output may lie over its input. And an output may take the place of a tensor
    of its own shape that is read number by number, just before each is written.
    """
    shapes = program.shapes[:-1]
    last = [0] * len(program.shapes)  # the operation after which a tensor may go
    for number, operation in enumerate(program.operations):
        for tensor in inputs_of(operation):
            last[tensor] = number
    places: list[int] = []
    for tensor, shape in enumerate(shapes):
        number = tensor - 1  # of the operation that makes it
        if tensor and (source := _replaced(program, number, last)) is not None:
            places.append(places[source])
            continue
        packed = _packed(program, number) if tensor else None
        held = [other for other in range(tensor) if last[other] > number or (last[other] == number and other != packed)]
        begin = 0
        for start, end in sorted((places[other], places[other] + shapes[other].size) for other in held):
            if start - begin >= shape.size:
                break
            begin = max(begin, end)
        places.append(begin)
    return places, max(begin + shape.size for begin, shape in zip(places, shapes, strict=True))


def _packed(program: Program, number: int) -> int | None:
    """The tensor of which an operation needs the bits alone."""
    operation = program.operations[number]
    if not isinstance(operation, BinaryConvolution) or operation.epilogue.shortcut == operation.input:
        return None
    return operation.input


def _replaced(program: Program, number: int, last: Sequence[int]) -> int | None:
    """The tensor in whose place an operation may write: one of the same shape that it reads last, number by number."""
    operation = program.operations[number]
    shortcut = getattr(operation, "epilogue", PLAIN).shortcut
    pixelwise = [shortcut] if shortcut is not None and _reads_once(program, number) else []
    if isinstance(operation, Pointwise):
        pixelwise.append(operation.input)
    if isinstance(operation, Product):
        pixelwise += [operation.input, operation.by]
    shape = program.shapes[number + 1]
    return next((tensor for tensor in pixelwise if last[tensor] == number and program.shapes[tensor] == shape), None)


def _reads_once(program: Program, number: int) -> bool:
    """Whether an operation that has a shortcut reads it as its shortcut alone, once it begins to write."""
    operation = program.operations[number]
    if isinstance(operation, Pointwise | Product | BinaryConvolution):
        return True
    source, shortcut = inputs_of(operation)
    return source != shortcut
