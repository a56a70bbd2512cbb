"""The supernet: one set of weights that every network of a NAS-BNN space shares (NAS-BNN, section 3.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.convolution import in_own_type
from models.layers.kernels import WeightNormalisation
from models.layers.modes import Mode, Weights
from models.layers.unit import BinaryUnit
from models.nasbnn.network import BinaryNetwork, ConvolutionUnit, NetworkOptions, make_stem, part_names
from models.nasbnn.recoupling import Recoupling
from models.nasbnn.sharing import SharedKxK, SharedPointwise, part
from models.network import Supernet
from models.options import Options
from spaces import Architecture, Layer, NasBnnSpace
from spaces.nasbnn.declaration import Blocks


@dataclass(frozen=True)
class SupernetOptions(Options):
    """The paper's switches that belong to the weights (Figure 3 b): kept with a checkpoint.

    `bi_transformation` is section 3.3.2, `weight_normalisation` section 3.3.3.
    """

    bi_transformation: bool = True
    weight_normalisation: WeightNormalisation = WeightNormalisation.PAPER

    @property
    def network(self) -> NetworkOptions:
        """What an extracted network keeps of them; the Bi-Transformation is baked into its weights."""
        return NetworkOptions(self.weight_normalisation)


class SharedBlock(nn.Module):
    """A kxk unit and a 1x1 unit for every choice of one layer."""

    def __init__(self, kxk: SharedKxK, pointwise: SharedPointwise, stride: int, options: SupernetOptions) -> None:
        super().__init__()
        self.kxk = kxk
        self.pointwise = pointwise
        self.stride = stride
        self.options = options

    def forward(self, x: Tensor, layer: Layer, mode: Mode) -> Tensor:
        """(N, in, H, W) -> (N, layer.width, H / stride, W / stride)."""
        normalisation = self.options.weight_normalisation
        channels = x.shape[1]
        choices = (layer.excite,) if isinstance(self.kxk.tail, Recoupling) else ()
        kernel = self.kxk.kernel(channels, layer.kernel_size, layer.groups, mode.weights, normalisation)
        x = self.kxk.run(x, kernel, self.stride, layer.groups, mode.activations, *choices)
        kernel = self.pointwise.kernel(channels, layer.width, mode.weights, normalisation)
        return self.pointwise.run(x, kernel, 1, 1, mode.activations, *choices)


class NasBnnSupernet(Supernet[NasBnnSpace, Architecture, SupernetOptions]):
    """Shared weights of every member of a space, with random values from torch's global generator.

    `supernet(images, architecture, mode)` runs one member. Widths use the first filters and inputs; groups, kernels and
    the Bi-Transformation are cut as `models.nasbnn.sharing` says; shifts, PReLUs and batch norms (running statistics
    too, which every training pass moves) use the first entries.
    """

    def __init__(self, space: NasBnnSpace, options: SupernetOptions | None = None) -> None:
        super().__init__()
        self.space = space
        self.options = options or SupernetOptions()
        self.stem = make_stem(space, space.stem_widths[-1])
        width = space.stem_widths[-1]
        self.stages = nn.ModuleList()
        for number, stage in enumerate(space.stages, 1):
            blocks = nn.ModuleList()
            for place in range(stage.depths[-1]):
                kxk = SharedKxK(
                    width, stage.kernel_sizes, stage.groups[0], bi_transformation=self.options.bi_transformation
                )
                pointwise = SharedPointwise(width, stage.widths[-1])
                if space.blocks is Blocks.BNEXT:
                    multiplies = space.multiplies(number, place + 1)
                    kxk.tail = Recoupling(width, stage.excites, multiplies=multiplies)
                    pointwise.tail = Recoupling(stage.widths[-1], stage.excites, multiplies=False)
                blocks.append(SharedBlock(kxk, pointwise, stage.stride if place == 0 else 1, self.options))
                width = stage.widths[-1]
            self.stages.append(blocks)
        self.classifier = nn.Linear(width, space.classes)

    def forward(self, images: Tensor, architecture: Architecture, mode: Mode = Mode.BWBA) -> Tensor:
        """Logits of one member: float images (N, channels, H, W) -> (N, classes).

        Raises `SpaceError` for an architecture that is not in the space.
        """
        *_, (_, x) = self.maps(images, architecture, mode)
        x = x.mean((2, 3))  # (N, last width)
        with in_own_type(x):
            return F.linear(x, part(self.classifier.weight, slice(None), slice(x.shape[1])), self.classifier.bias)

    def maps(self, images: Tensor, architecture: Architecture, mode: Mode = Mode.BWBA) -> Iterator[tuple[str, Tensor]]:
        """What the stem and every block of one member put out, with the names of `Network.parts`.

        Raises `SpaceError` for an architecture that is not in the space.
        """
        x = self.stem(images, self.space.require(architecture).stem)
        yield "stem", x
        for name, (block, layer) in zip(part_names(architecture), self._blocks(architecture), strict=True):
            x = block(x, layer, mode)
            yield name, x

    def _blocks(self, architecture: Architecture) -> Iterator[tuple[SharedBlock, Layer]]:
        """The blocks that a member uses, the first ones of every stage, with its layers."""
        for blocks, layers in zip(self.stages, architecture.stages, strict=True):
            for block, layer in zip(blocks.children(), layers, strict=False):  # a shallow stage uses its first blocks
                assert isinstance(block, SharedBlock)
                yield block, layer

    @torch.no_grad()
    def extract(self, architecture: Architecture) -> BinaryNetwork:
        """A member as a network of its own, with copies of its weights and batch norm statistics.

        Cuts, kernel matrices and the Bi-Transformation are baked in; normalisation and signs stay the network's own, so
        that it can be finetuned. It gives what the supernet gives in mode BWBA. The supernet is only read, so it may be
        mapped from a file. Raises `SpaceError` for an architecture that is not in the space.
        """
        with torch.device("meta"):
            network = BinaryNetwork(self.space, architecture, self.options.network)
        _adopt_all(network.stem, self.stem)
        for (shared, layer), block in zip(self._blocks(architecture), network.blocks(), strict=True):
            channels = block.kxk.weight.shape[0]
            kxk = shared.kxk.cut(channels, layer.kernel_size, layer.groups, Weights.BINARY)
            _adopt_unit(block.kxk, shared.kxk, kxk)
            _adopt_unit(block.pointwise, shared.pointwise, shared.pointwise.cut(channels, layer.width))
        _adopt(network.classifier, _tensors(self.classifier))
        return network.train(self.training)


def _adopt_unit(unit: ConvolutionUnit, shared: BinaryUnit, weight: Tensor) -> None:
    _adopt(unit, {"weight": weight, "shift": shared.shift})
    _adopt_all(unit.tail, shared.tail)


def _adopt_all(module: nn.Module, shared: nn.Module) -> None:
    """Copies for a module and all within it, of what it has; a larger one may have more."""
    for name, own in module.named_modules():
        wanted = _tensors(own)
        _adopt(own, {key: value for key, value in _tensors(shared.get_submodule(name)).items() if key in wanted})


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}


def _adopt(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module of the meta device copies of the first entries, along every axis, of larger tensors."""
    for name, tensor in tensors.items():
        shape = getattr(module, name).shape
        part = tensor.detach()[tuple(slice(length) for length in shape)].clone()
        if name in module._parameters:
            module._parameters[name] = nn.Parameter(part)
        else:
            module._buffers[name] = part
