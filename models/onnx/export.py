"""A model as an ONNX file for other tools, plain or with the marks of QONNX; checked before it is written."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from models.onebit.file import Model
from spaces.errors import BinarynasError
from spaces.tools.files import write_atomically

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
"""Of plain ONNX: what is written needs 15, and most tools read 17."""
QONNX_OPSET = 13
"""Of a file with the marks of QONNX: its tools prefer 11, but `qonnx-to-channels-last` adds nodes as 13 has them."""
QONNX_VERSION = 1
_IR_VERSION = 8
"""Of the container, the one that came with opset 17."""
_LARGEST = 2**31 - 1
"""Bytes of a file; protocol buffers end there."""


class Format(StrEnum):
    """ONNX: comparisons and float convolutions, any batch. QONNX: the same of marked tensors, one image per call."""

    ONNX = "onnx"
    QONNX = "qonnx"


SENTENCES = {
    Format.ONNX: "float simulation: weights are stored as 32-bit floats; the 1-bit form is the .bnn file",
    Format.QONNX: "weights are stored as 32-bit floats, which BipolarQuant marks as 1 bit and Quant as 8, for "
    "compilers; the 1-bit form is the .bnn file",
}
"""What each file is and is not, written into it."""
PRECISION = (
    "float32; OpenVINO computes in bfloat16 where the processor has it, unless told "
    '{"INFERENCE_PRECISION_HINT": "f32"}, and then 12 to 41 classes of 1,797 digits differed'
)
"""What numbers have to be, written into every file: signs of values near a threshold depend on it."""


class InterchangeError(BinarynasError, ValueError):
    """A file that cannot be made: says why and what to do."""


def to_onnx(model: Model, form: Format) -> "ModelProto":
    """The model as a checked graph from normalised float32 images, (N, C, H, W), to logits, (N, classes).

    Its `metadata_props` hold what `Model` holds beside the program, as words or JSON, and one of `SENTENCES`. N is free
    in plain ONNX and 1 in QONNX, whose executor wants every shape to be known. Raises `InterchangeError` where the
    package onnx is missing, or the file would be too large.
    """
    try:
        import onnx
    except ImportError as error:
        raise InterchangeError(
            f"writing ONNX needs the package onnx ({error}); install it: pip install onnx"
        ) from error
    from models.onnx.nodes import Translator
    from models.onnx.quantisers import QONNX_DOMAIN, Comparisons, QonnxMarks

    opsets = [onnx.helper.make_opsetid("", OPSET if form is Format.ONNX else QONNX_OPSET)]
    if form is Format.ONNX:
        translator = Translator(model.program, "batch", Comparisons)
    else:
        translator = Translator(model.program, 1, QonnxMarks)
        opsets.append(onnx.helper.make_opsetid(QONNX_DOMAIN, QONNX_VERSION))
    made = onnx.helper.make_model(
        translator.translate(model.facts.get("id") or "binarynas"),
        opset_imports=opsets, ir_version=_IR_VERSION, producer_name="binarynas", doc_string=SENTENCES[form],
    )  # fmt: skip
    onnx.helper.set_model_props(made, _properties(model, form))
    size = made.ByteSize()
    if size > _LARGEST:
        raise InterchangeError(
            f"an ONNX file holds at most {_LARGEST} bytes, this network takes {size}; use a .bnn file"
        )
    onnx.checker.check_model(made, full_check=True)
    return made


def write_onnx(path: Path | str, model: Model, form: Format = Format.ONNX) -> int:
    """Write a file, whole or not at all; returns its size in bytes.

    Raises `InterchangeError` for a name that does not end in .onnx, and as `to_onnx`; `OSError` where the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise InterchangeError(f"{path} ends in {path.suffix or 'nothing'}; a file of {form.name} ends in .onnx")
    data = to_onnx(model, form).SerializeToString()
    write_atomically(path, data)
    return len(data)


def _properties(model: Model, form: Format) -> dict[str, str]:
    own = {
        "about": SENTENCES[form],
        "precision": PRECISION,
        "images": "(pixel / 255 - mean) / std, float32, batch x channels x height x width",
        "class_names": json.dumps(model.class_names),
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "centre_crop": json.dumps(model.centre_crop),
    }
    return {**model.facts, **own}
