"""Networks of the width space, and how they inherit the weights of wider ones.

"Searching for accurate binary neural architectures" (2019) widens and narrows the VGG of DoReFa-Net and ResNets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.binarisers import make_binariser
from models.layers.binary import BinaryConv2d, Sizes
from models.layers.modes import Mode
from models.network import Network
from models.options import Options
from models.width.exact import ExactConv2d, ExactNorm2d
from models.width.gated import GatedConvolution
from spaces.width import LayerKind, LayerPlan, Pool, PoolKind, Widths, WidthSpace
from spaces.width.bases import IMAGE, End


@dataclass(frozen=True)
class WidthOptions(Options):
    """Choices of the method that a network's weights depend on; kept with its checkpoint.

    `binariser` is that of the space. `mode` FWFA is the full-precision twin: the same network with float weights and
    ReLU where activations are binary.
    """

    binariser: str = "dorefa"
    mode: Mode = Mode.BWBA

    def __post_init__(self) -> None:
        make_binariser(self.binariser)  # raises for an unknown one


class PooledConvolution(nn.Module):
    """A pool where the plan has one, a convolution, another pool, batch norm, ReLU where the plan has one, and the
    shortcut added at the end."""

    def __init__(self, plan: LayerPlan, convolution: nn.Module, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.convolution, self.norm, self.relu = convolution, norm, plan.relu
        self.before, self.pool = _pool(plan.before), _pool(plan.pool)

    def forward(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        """(N, cin, H, W) -> (N, cout, H / strides, W / strides)."""
        x = self.convolution(self.before(x)).contiguous(
            memory_format=torch.channels_last
        )  # it is not, for images of one channel
        x = self.norm(self.pool(x))
        x = F.relu(x) if self.relu else x
        return x if shortcut is None else x + shortcut


def make_layer(plan: LayerPlan, options: WidthOptions, *, exact: bool) -> PooledConvolution | GatedConvolution:
    """The layer of a plan, with random weights; `exact` ones evaluate as the 1-bit engine does."""
    sizes = Sizes(plan.cin, plan.cout, plan.kernel_size, plan.stride, plan.padding)
    if plan.kind is LayerKind.FLOAT:
        convolution = (ExactConv2d if exact else nn.Conv2d)(*sizes, bias=False)
    else:
        convolution = BinaryConv2d(sizes, make_binariser(options.binariser), options.mode)
        if plan.kind is LayerKind.GATED:
            return GatedConvolution(convolution)
    return PooledConvolution(plan, convolution, (ExactNorm2d if exact else nn.BatchNorm2d)(plan.cout))


class WidthNetwork(Network[WidthSpace, Widths, WidthOptions]):
    """The network of one choice of widths, with random weights: its layers are those of `space.layers(architecture)`.

    Which convolutions are float is said by its base network; the linear layer is, and reads the last maps or the ReLU
    of these. Its learnable numbers are as many as `space.cost(architecture).params` says. A shortcut whose maps change
    size is a 1x1 convolution. Raises `SpaceError` for an architecture that is not in the space, `ValueError` for
    options of another binariser than the space's.
    """

    def __init__(self, space: WidthSpace, architecture: Widths, options: WidthOptions | None = None) -> None:
        super().__init__()
        self.space = space
        self.architecture = space.require(architecture)
        self.options = options or WidthOptions(space.binariser)
        if self.options.binariser != space.binariser:
            raise ValueError(
                f"space {space.name!r} has the binariser {space.binariser!r}, the options say "
                f"{self.options.binariser!r}; use a space with that binariser"
            )
        *self.plans, last = space.layers(architecture)
        exact = any(plan.kind is LayerKind.GATED for plan in self.plans)
        self.layers = nn.ModuleDict(
            {_key(plan.name): make_layer(plan, self.options, exact=exact) for plan in self.plans}
        )
        self.pool = _pool(last.pool)
        self.classifier = nn.Linear(last.cin, last.cout)
        reads = {plan.name: {plan.source, plan.shortcut} - {None} for plan in self.plans}
        last_reader = {name: reader for reader, names in reads.items() for name in names}
        # what no layer reads after this one: large maps, which evaluation need not keep
        self._done = {reader: [n for n in names if last_reader[n] == reader] for reader, names in reads.items()}

    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        x = images
        for _, x in self.maps(images):  # noqa: B007 - the last map is wanted
            pass
        x = self.pool(F.relu(x) if self.space.network.end is End.RELU else x)
        return self.classifier(x.flatten(1))  # pixels of a channel side by side

    def parts(self) -> dict[str, nn.Module]:
        """See `Network.parts`: the convolutions, each with its pool and its batch norm."""
        return {plan.name: self.layers[_key(plan.name)] for plan in self.plans}

    def maps(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """See `Network.maps`; maps are those before the ReLU that the classifier reads, where there is one."""
        outputs = {IMAGE: images.contiguous(memory_format=torch.channels_last)}
        for plan in self.plans:
            shortcut = outputs[plan.shortcut] if plan.shortcut else None
            x = outputs[plan.name] = self.layers[_key(plan.name)](outputs[plan.source], shortcut)
            for name in self._done[plan.name]:
                del outputs[name]
            yield plan.name, x
            del x


@torch.no_grad()
def inherit(network: WidthNetwork, parent: WidthNetwork) -> None:
    """Give a network the leading channels of a wider one, inputs and outputs, batch norm statistics too (section 3.1).

    The parent is only read, so it may be mapped from a file. A network of the meta device gets its tensors here, of the
    parent's type and device. Binarisers may differ, as their float weights are copied. Raises
    `ValueError` for a parent of another base network, image size, number of channels or classes, or one that is
    narrower in some layer; the network is then as it was.
    """
    _require_kin(network.space, parent.space)
    wide, tensors = _by_channels(parent), dict[str, Tensor]()
    for name, tensor in _by_channels(network).items():
        if any(a > b for a, b in zip(tensor.shape, wide[name].shape, strict=True)):
            raise ValueError(
                f"{name} has shape {(*tensor.shape,)} in {network.architecture}, and only {(*wide[name].shape,)} in "
                f"the parent {parent.architecture}; a parent must be at least as wide in every layer"
            )
        leading = wide[name][tuple(slice(length) for length in tensor.shape)]
        tensors[name] = (leading.flatten(1) if name == _LINEAR else leading).clone()
    network.load_state_dict(tensors, assign=network.classifier.weight.is_meta)


_LINEAR = "classifier.weight"


def _by_channels(network: WidthNetwork) -> dict[str, Tensor]:
    """The tensors of a network, the linear layer's weight as (classes, channels, pixels)."""
    tensors = network.state_dict()
    tensors[_LINEAR] = tensors[_LINEAR].unflatten(1, (network.plans[-1].cout, -1))
    return tensors


def _require_kin(space: WidthSpace, parent: WidthSpace) -> None:
    if replace(space, name=parent.name, ratios=parent.ratios, binariser=parent.binariser) == parent:
        return
    ours, theirs = (
        f"{of.base} (images {of.channels}x{of.image_size}x{of.image_size}, {of.classes} classes)"
        for of in (space, parent)
    )
    raise ValueError(
        f"a network of {ours} cannot inherit from one of {theirs}; train a parent of the same base, images and classes"
    )


def _key(name: str) -> str:
    """A layer's name as the name of a module, which must have no dot."""
    return name.replace(".", "_")


def _pool(pool: Pool | None) -> nn.Module:
    if pool is None:
        return nn.Identity()
    if pool.kind is PoolKind.MAX:
        return nn.MaxPool2d(pool.kernel_size, pool.stride, pool.padding)
    return nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
