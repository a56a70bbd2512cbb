"""A program in C that measures a space's table of latencies on the machine that counts, where there is no Python."""

import ctypes
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TypeVar

from models.onebit.native import build
from models.onebit.native.plan import Level, NativeOperation, Outline, fused_lanes
from models.onebit.operations import LARGEST_PROGRAM, Operation, Shape
from models.onebit.program import Program
from models.onebit.timing import WARM_UP
from search.latency.programs import shape_key
from search.latency.stopwatch import AT_ONCE, BLOCK, MOST_COPIES, PROTOCOL, ROUNDS, copies
from search.latency.table import FITTED, VERSION, LatencyError, varied
from search.seeds import derive_rng
from spaces import Space
from spaces.tools.files import write_atomically

A = TypeVar("A")
_TEMPLATES = Path(__file__).with_name("templates")
_FIELDS = [field[0] for field in NativeOperation._fields_ if field[1] is not ctypes.c_void_p]
NETWORKS = 2000
"""Random networks whose operations are looked at, at most; fewer once `_PATIENCE` in a row have none that is new."""
_PATIENCE = 200


def write_kit(folder: Path, space: Space[A], networks: int = NETWORKS) -> int:
    """Write the kit of a space into a new folder; returns how many operations it measures.

    Raises `LatencyError` for a folder that holds something, `OSError` where the disk refuses.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise LatencyError(f"{folder} is not an empty folder; a kit is written into one of its own: name a new one")
    programs = varied(space, derive_rng(0, "latency"), networks, _PATIENCE)
    table, operations = _table(space.name, programs)
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*sorted(build.SOURCE.parent.glob("*.[ch]")), *sorted(_TEMPLATES.iterdir())):
        write_atomically(folder / source.name, source.read_bytes())
    write_atomically(folder / "table.h", table)
    return operations


def _table(space: str, programs: Sequence[Program]) -> tuple[str, int]:
    """table.h, and how many operations it has."""
    operations: dict[str, tuple[Operation, tuple[Shape, ...]]] = {}
    for program in programs:
        for operation in program.operations:
            operations.setdefault(shape_key(operation, program.shapes), (operation, program.shapes))
    numbers = {key: number for number, key in enumerate(operations)}
    fitted = programs[:FITTED]
    constants = {
        "VERSION": VERSION,
        "ENGINE": f'"{build.version()}"',
        "SPACE": f'"{space}"',
        "PROTOCOL": f'"{PROTOCOL}"',
        "OPERATIONS": len(operations),
        "NETWORKS": len(fitted),
        "ROUNDS": ROUNDS,
        "WARM_UP": WARM_UP,
        "AT_ONCE": AT_ONCE,
        "BLOCK": f"{BLOCK * 1e3:g} /* milliseconds of a reading */",
    }
    lists, timed, whole = list[str](), list[str](), list[str]()
    for key, (operation, shapes) in operations.items():
        name, program = f"operation_{numbers[key]}", copies(operation, shapes, 3)
        made = Outline.of(program)
        lists.append(_steps(name, made))
        begin, body = len(program.operations) - 4, len(made.operations[-2])
        most = min(MOST_COPIES, LARGEST_PROGRAM // (4 * max(shape.size for shape in program.shapes)))
        timed.append(f'    {{"{key}", {_plan(name, program, made)}, {begin}, {body}, {max(most, 2)}}},')
    for number, program in enumerate(fitted):
        name, made = f"network_{number}", Outline.of(program)
        members = [numbers[shape_key(operation, program.shapes)] for operation in program.operations]
        lists += [_steps(name, made), f"static const int {name}_sum[] = {{{', '.join(map(str, members))}}};"]
        whole.append(f"    {{{_plan(name, program, made)}, {name}_sum, {len(members)}}},")
    parts = [
        "/* The operations of a space of binarynas, and some of its networks; made for measure.c. */",
        *(f"#define TABLE_{name} {value}" for name, value in constants.items()),
        _TYPES,
        *lists,
        "static const Timed timed_operations[] = {",
        *timed,
        "};",
        "static const Network networks[] = {",
        *whole,
        "};",
    ]
    return "\n".join(parts) + "\n", len(operations)


_TYPES = """
/* An operation without weights, and how many channels its epilogue takes at once at every level of the engine. */
typedef struct { Operation op; unsigned char fused[4]; } Step;
typedef struct { const Step *steps; int count; int64_t tensors; int channels; int64_t pixels; int classes; } Plan;
/* What begins a program, three copies of an operation of `body` steps, and what ends it. */
typedef struct { const char *key; Plan plan; int begin, body, most_copies; } Timed;
/* A whole network, and the numbers of its operations. */
typedef struct { Plan plan; const int *operations; int count; } Network;
"""


def _plan(name: str, program: Program, made: Outline) -> str:
    image, count = program.image, sum(map(len, made.operations))
    return f"{{{name}, {count}, {made.tensors}, {image.channels}, {image.height * image.width}, {program.classes}}}"


def _steps(name: str, made: Outline) -> str:
    natives = list(chain.from_iterable(made.operations))
    lanes = [
        [fused_lanes(native, follower, level) if native.packs else 0 for level in Level]
        for native, follower in pairwise(natives)
    ]
    rows = [
        f"    {{{{{_fields(native)}}}, {{{', '.join(map(str, fused))}}}}},"
        for native, fused in zip(natives, [*lanes, [0] * len(Level)], strict=True)
    ]
    return "\n".join([f"static const Step {name}[] = {{", *rows, "};"])


def _fields(native: NativeOperation) -> str:
    """What is not zero."""
    values = {name: getattr(native, name) for name in _FIELDS}
    return ", ".join(f".{name} = {value}" for name, value in values.items() if value or name == "kind")
