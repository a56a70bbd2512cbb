"""A network of the width space, layer by layer: what is built and what is priced follow this one description."""

from collections.abc import Mapping
from dataclasses import dataclass

from spaces.width.bases import IMAGE, BaseNetwork, Head, LayerKind, Pool, PoolKind


@dataclass(frozen=True)
class LayerPlan:
    """One layer.

    `cin` and `cout` are channels; of the linear layer they are inputs and classes. `in_size` is the height and width of
    the maps that it reads, `out_size` that of its own output, before a pool; convolutions are padded by half their
    kernel size.

    The `pool` of a convolution comes right after it, before its batch norm; that of the linear layer before it.
    `source` is the name of the layer that is read (`"image"` for the first), with its pool, batch norm and shortcut;
    `shortcut` that of the layer whose output is added after the batch norm, or PReLU, None where nothing is. `before`
    is a pool of what a convolution reads; `in_size` is that of its output. `relu` says that a ReLU follows the batch
    norm.
    """

    name: str
    kind: LayerKind
    cin: int
    cout: int
    kernel_size: int
    stride: int
    in_size: int
    out_size: int
    source: str
    pool: Pool | None = None
    shortcut: str | None = None
    before: Pool | None = None
    relu: bool = False

    @property
    def padding(self) -> int:
        """Zeros around the maps of a convolution."""
        return self.kernel_size // 2

    @property
    def pooled_size(self) -> int:
        """Height and width of what the layers after a convolution read."""
        return self.out_size // (self.pool.stride if self.pool else 1)

    @property
    def positions(self) -> int:
        """How many pixels of each channel the linear layer reads, after its pool; `cin` is channels x positions."""
        return (self.in_size // (self.pool.stride if self.pool else 1)) ** 2


def plan(
    base: BaseNetwork, widths: Mapping[str, int], image_size: int, channels: int, classes: int
) -> tuple[LayerPlan, ...]:
    """The layers of a base network at the given width of each convolution, each after those it reads."""
    sizes, outputs = {IMAGE: image_size}, {IMAGE: channels}
    layers: list[LayerPlan] = []
    for c in base.convolutions:
        cin, cout, size = outputs[c.source], widths[c.name], sizes[c.source] // (c.before.stride if c.before else 1)
        sides = c.kernel_size, c.stride, size, size // c.stride
        around = c.source, c.pool, c.shortcut, c.before, c.relu
        layers.append(layer := LayerPlan(c.name, c.kind, cin, cout, *sides, *around))
        sizes[c.name], outputs[c.name] = layer.pooled_size, cout
    last = layers[-1]
    size = last.pooled_size
    pool = Pool(PoolKind.AVERAGE, size, size) if base.head is Head.AVERAGE else None
    inputs = last.cout * (1 if pool else size**2)
    return (*layers, LayerPlan("linear", LayerKind.LINEAR, inputs, classes, 1, 1, size, 1, last.name, pool))
