"""ONNX files: onnxruntime and QONNX's executor give what the network and the engine give, and say what they hold."""

import json
import random
import sys

import numpy as np
import pytest
import torch
from torch import nn

from models.cell.network import CellNetwork
from models.nasbnn.network import BinaryNetwork
from models.onebit import portable
from models.onebit.file import Model
from models.onebit.lowering.lower import lower
from models.onebit.operations import (
    Activation,
    BinaryConvolution,
    Concatenate,
    Encoding,
    Epilogue,
    FloatConvolution,
    Geometry,
    GlobalAverage,
    Linear,
    Pointwise,
    Pool,
    Product,
    Reduction,
    Shape,
    Zero,
    pack_signs,
)
from models.onebit.program import Program
from models.onnx.export import OPSET, QONNX_OPSET, SENTENCES, Format, InterchangeError, to_onnx, write_onnx
from models.width.network import WidthNetwork
from spaces import get_space

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

NETWORKS = {
    "nasbnn-digits": BinaryNetwork,
    "bnext-digits": BinaryNetwork,
    "vgg-digits": WidthNetwork,
    "bnas-digits": CellNetwork,
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """A network of the family in evaluation mode, its norms unlike their initial values."""
    space = get_space(request.param)
    torch.manual_seed(0)
    made = NETWORKS[request.param](space, space.sample(random.Random(0)))
    with torch.no_grad():
        for name, values in made.named_buffers():
            if values.is_floating_point() and "running" in name:
                values += torch.rand_like(values) if name.endswith("var") else 0.3 * torch.randn_like(values)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d) and module.affine:
                module.weight.copy_(torch.randn_like(module.weight))
                module.bias.copy_(0.3 * torch.randn_like(module.bias))
    return made.eval()


def model_of(program, **facts):
    names = tuple(f"class {number}" for number in range(program.classes))
    return Model(program, names, (0.5,) * program.image.channels, (0.25,) * program.image.channels, facts)


def images_of(program, count, seed=0):
    """Random images, NCHW."""
    return np.random.default_rng(seed).normal(size=(count, *program.image)).astype(np.float32)


def run_portable(program, images):
    return portable.run(program, images.transpose(0, 2, 3, 1))


def run_onnx(made, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def run_qonnx(made, images):
    """One image after the other, as a file of this kind takes one a call."""
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    wrapper = ModelWrapper(made)
    given, wanted = wrapper.graph.input[0].name, wrapper.graph.output[0].name
    return np.concatenate([execute_onnx(wrapper, {given: image[None]})[wanted] for image in images])


def assert_close(logits, wanted):
    atol = max(1e-4, 1e-6 * np.abs(wanted).max())  # float32 sums of logits of several hundreds
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=atol)
    assert np.array_equal(logits.argmax(1), wanted.argmax(1))


@pytest.mark.parametrize("count", [1, 32])
def test_onnxruntime_gives_what_the_network_and_the_portable_engine_give(network, count):
    program = lower(network)
    images = images_of(program, count)
    logits = run_onnx(to_onnx(model_of(program), Format.ONNX), images)
    with torch.inference_mode():
        assert_close(logits, network(torch.from_numpy(images)).numpy())
    assert_close(logits, run_portable(program, images))


def test_the_executor_of_qonnx_gives_what_the_network_and_the_portable_engine_give(network):
    program = lower(network)
    images = images_of(program, 1)
    logits = run_qonnx(to_onnx(model_of(program), Format.QONNX), images)
    with torch.inference_mode():
        assert_close(logits, network(torch.from_numpy(images)).numpy())
    assert_close(logits, run_portable(program, images))


def test_qonnx_infers_one_bit_for_what_every_binary_convolution_reads(network):
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    from qonnx.analysis.inference_cost import inference_cost
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_datatypes import InferDataTypes

    program = lower(network)
    wrapper = ModelWrapper(to_onnx(model_of(program), Format.QONNX)).transform(InferDataTypes())
    kinds = [[wrapper.get_tensor_datatype(name).name for name in node.input] for node in wrapper.graph.node
             if node.op_type == "Conv"]  # fmt: skip
    binary = [operation for operation in program.operations if isinstance(operation, BinaryConvolution)]
    wanted = {Encoding.SIGNS: "BIPOLAR", Encoding.ZERO_ONE: "BINARY"}
    assert [given for given, weight in kinds if weight == "BIPOLAR"] == [wanted[o.encoding] for o in binary]
    if isinstance(network, BinaryNetwork):
        counted = network.space.cost(network.architecture).bops
        assert wrapper.analysis(inference_cost)["total_cost"]["op_mac_BIPOLAR_BIPOLAR"] == counted
    floats = [operation for operation in program.operations if isinstance(operation, FloatConvolution)]
    others = [weight for _, weight in kinds if weight != "BIPOLAR"]
    assert others == ["INT8" if operation.weight.dtype == np.int8 else "FLOAT32" for operation in floats]


# Whole numbers, so that sums are exact in whatever order they are added.
RNG = np.random.default_rng(3)


def whole(*shape, low=-4, high=5):
    return RNG.integers(low, high, shape).astype(np.float32)


def binary(given, channels, out_channels, geometry, encoding=Encoding.SIGNS, threshold=None, **epilogue):
    signs = RNG.random((out_channels, geometry.kernel_size, geometry.kernel_size, channels // geometry.groups)) < 0.5
    threshold = whole(channels) if threshold is None else threshold
    return BinaryConvolution(
        given, out_channels, geometry, encoding, threshold, pack_signs(signs), Epilogue(**epilogue)
    )


def floats(given, channels, out_channels, geometry, dtype=np.float32, **epilogue):
    weight = whole(geometry.kernel_size, geometry.kernel_size, channels // geometry.groups, out_channels)
    return FloatConvolution(given, out_channels, geometry, weight.astype(dtype), Epilogue(**epilogue))


IMAGE = Shape(6, 8, 8)
RPRELU = {"activation": Activation.RPRELU, "slope": whole(8), "shift": whole(8)}
OPERATIONS = {
    "binary": [binary(0, 6, 8, Geometry(3, 1, 1))],
    "binary, stride, groups": [binary(0, 6, 8, Geometry(3, 2, 1, groups=2), factor=whole(8), constant=whole(8))],
    "binary, dilation, wide padding": [binary(0, 6, 8, Geometry(3, 1, 4, 2))],
    "binary, zero-one": [binary(0, 6, 8, Geometry(5, 1, 2), Encoding.ZERO_ONE)],
    "binary, zero-one of DoReFa": [
        binary(0, 6, 8, Geometry(3), Encoding.ZERO_ONE, np.full(6, np.nextafter(np.float32(0.5), np.float32(1))))
    ],
    "float": [floats(0, 6, 8, Geometry(3, 2, 1, groups=2), activation=Activation.RELU)],
    "8 bits, rprelu": [floats(0, 6, 8, Geometry(3), np.int8, **RPRELU)],
    "shortcut repeated and cut": [binary(0, 6, 8, Geometry(3, 1, 1), shortcut=0, **RPRELU)],
    "shortcut repeated twice": [binary(0, 6, 12, Geometry(3, 2, 1), shortcut=0)],
    "shortcut cut": [binary(0, 6, 4, Geometry(1), shortcut=0)],
    "pointwise, clip": [
        Pointwise(0, Epilogue(factor=whole(6), activation=Activation.CLIP, low=-1.5, high=2.0))
    ],
    "product with itself": [Product(0, 0, Epilogue(factor=whole(6), shortcut=0))],
    "product with a gate": [GlobalAverage(0), Product(0, 1, Epilogue(whole(6), shortcut=0))],
    "pointwise of nothing": [Pointwise(0, Epilogue())],
    "max pool, padded": [Pool(0, Reduction.MAX, Geometry(3, 2, 1))],
    "mean pool, padded": [Pool(0, Reduction.MEAN, Geometry(3, 2, 1))],
    "zeros": [Zero(Shape(3, 8, 8)), Concatenate((0, 1, 0))],
    "linear amid maps": [Linear(0, 5, whole(384, 5), Epilogue(constant=whole(5))), Pointwise(1, Epilogue(shortcut=1))],
}  # fmt: skip


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation(name, form):
    operations = OPERATIONS[name]
    channels = Program(IMAGE, (*operations, GlobalAverage(len(operations)))).classes
    weight = np.arange(4 * channels, dtype=np.float32).reshape(channels, 4) - channels
    program = Program(IMAGE, (*operations, GlobalAverage(len(operations)), Linear(len(operations) + 1, 4, weight)))
    images = np.random.default_rng(0).integers(-4, 5, (2, *IMAGE)).astype(np.float32)
    run_it = run_onnx if form is Format.ONNX else run_qonnx
    logits = run_it(to_onnx(model_of(program), form), images)
    np.testing.assert_allclose(logits, run_portable(program, images), rtol=1e-5, atol=1e-5)


def test_the_transformations_of_qonnx_down_to_channels_last_keep_the_classes(network):
    """What its command line does: clean up, products in place of linear layers, maps with channels last."""
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    program = lower(network)
    if any(isinstance(operation, Concatenate) for operation in program.operations):
        pytest.skip("the transformations take minutes for cells")
    if any(isinstance(operation, Product) for operation in program.operations):
        pytest.skip("QONNX's conversion leaves the gate of a product with channels first, and takes minutes")
    images = images_of(program, 1)
    wrapper = cleanup_model(ModelWrapper(to_onnx(model_of(program), Format.QONNX)))
    for step in (GemmToMatMul(), ConvertToChannelsLastAndClean(make_input_channels_last=False)):
        wrapper = wrapper.transform(step)
        assert not wrapper.get_nodes_by_op_type("Gemm")
        assert_close(run_qonnx(wrapper.model, images), run_portable(program, images))
    convolutions = wrapper.get_nodes_by_op_type("Conv")
    assert convolutions
    assert all(node.domain == "qonnx.custom_op.channels_last" for node in convolutions)


def test_the_cleanup_of_qonnx_leaves_the_marks_and_the_meaning():
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

    operations = OPERATIONS["shortcut repeated and cut"]
    program = Program(IMAGE, (*operations, GlobalAverage(1)))
    wrapper = cleanup_model(ModelWrapper(to_onnx(model_of(program), Format.QONNX)))
    assert len(wrapper.get_nodes_by_op_type("BipolarQuant")) == 2
    images = images_of(program, 2)
    np.testing.assert_allclose(run_qonnx(wrapper.model, images), run_portable(program, images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize(
    "last", [GlobalAverage(1), Linear(1, 3, whole(24, 3), Epilogue(factor=whole(3), activation=Activation.RELU)),
             Linear(1, 6, whole(24, 6), Epilogue(constant=whole(6), shortcut=0))],
    ids=["mean", "linear", "linear with a shortcut"],
)  # fmt: skip
def test_the_last_operation_may_be_any(last, form):
    image = Shape(6, 2, 2)
    program = Program(image, (Pointwise(0, Epilogue(factor=whole(6))), last))
    images = np.random.default_rng(0).integers(-4, 5, (2, *image)).astype(np.float32)
    run_it = run_onnx if form is Format.ONNX else run_qonnx
    logits = run_it(to_onnx(model_of(program), form), images)
    np.testing.assert_allclose(logits, run_portable(program, images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", Format)
def test_a_number_at_its_threshold_is_set_and_the_next_one_below_is_not(form):
    threshold = np.array([0.0, 0.5, 1e-40, -3e38, 3e38, 0.1], np.float32)
    signs = np.eye(6, dtype=np.bool_).reshape(6, 1, 1, 6)
    convolution = BinaryConvolution(0, 6, Geometry(1), Encoding.SIGNS, threshold, pack_signs(signs))
    program = Program(Shape(6, 1, 1), (convolution,))
    below = np.nextafter(threshold, np.float32(-np.inf))
    images = np.stack([threshold, below, -threshold])[:, :, None, None]
    run_it = run_onnx if form is Format.ONNX else run_qonnx
    logits = run_it(to_onnx(model_of(program), form), images)
    assert np.array_equal(logits, run_portable(program, images))


@pytest.mark.parametrize("form", Format)
def test_the_file_says_what_it_is_and_how_to_use_it(network, tmp_path, form):
    path = tmp_path / "model.onnx"
    model = model_of(lower(network), architecture=network.space.format(network.architecture), space=network.space.name)
    assert write_onnx(path, model, form) == path.stat().st_size
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    said = {entry.key: entry.value for entry in made.metadata_props}
    assert said["about"] == made.doc_string == SENTENCES[form]
    assert "32-bit floats" in said["about"]
    assert "the 1-bit form is the .bnn file" in said["about"]
    assert network.space.parse(said["architecture"]) == network.architecture
    assert json.loads(said["class_names"]) == list(model.class_names)
    assert (json.loads(said["mean"]), json.loads(said["std"])) == ([0.5], [0.25])
    opsets = {entry.domain: entry.version for entry in made.opset_import}
    assert opsets == ({"": OPSET} if form is Format.ONNX else {"": QONNX_OPSET, "qonnx.custom_op.general": 1})
    sides = [entry.dim_value or entry.dim_param for entry in made.graph.input[0].type.tensor_type.shape.dim]
    assert sides == ["batch" if form is Format.ONNX else 1, 1, 8, 8]
    used = {name for node in made.graph.node for name in node.input}
    assert {entry.name for entry in made.graph.initializer} <= used


def test_one_network_always_makes_the_same_file(network):
    one, other = (to_onnx(model_of(lower(network)), Format.ONNX).SerializeToString() for _ in range(2))
    assert one == other


PROGRAM = Program(Shape(1, 2, 2), (GlobalAverage(0),))


@pytest.mark.parametrize("name", ["model.bnn", "model", "model.onnx.txt"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InterchangeError, match=r"a file of ONNX ends in \.onnx"):
        write_onnx(tmp_path / name, model_of(PROGRAM))
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        write_onnx(tmp_path / "none" / "model.onnx", model_of(PROGRAM))
    assert "none" in found.value.filename
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(IsADirectoryError) as found:
        write_onnx(tmp_path / "folder.onnx", model_of(PROGRAM))
    assert found.value.filename == str(tmp_path / "folder.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InterchangeError, match="pip install onnx"):
        to_onnx(model_of(PROGRAM), Format.ONNX)
