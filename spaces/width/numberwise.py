"""Operations number by number: batch norms, activations, pools, sums and products, which `spaces.cost` leaves out.

The published operations of Real-to-Binary hold them, as was found by calculation. The rules are those of a public
counter of its authors' group (pytorch-estimate-flops): a batch norm is two operations for every number, a ReLU two, a
sum or a product one, a mean one for every number that is read, the largest of n numbers n - 1. A PReLU, of which it
says nothing, is counted as a ReLU.
"""

from spaces.width.bases import LayerKind
from spaces.width.plan import LayerPlan

_NORM, _ACTIVATION = 2, 2


def numberwise(layer: LayerPlan) -> int:
    """The operations of one layer beside those of its convolution, its gate's two layers, or the linear layer.

    The maximum pool of a stem is counted where the paper has it, behind batch norm and ReLU.
    """
    read, made = layer.cin * layer.in_size**2, layer.cout * layer.out_size**2
    if layer.kind is LayerKind.LINEAR:
        return read if layer.pool else 0
    gated = layer.kind is LayerKind.GATED
    operations = _NORM * (read if gated else made)
    operations += _ACTIVATION * made if gated or layer.relu else 0
    operations += read + made if gated else 0  # the mean for the gate, the product with it
    operations += made if layer.shortcut else 0
    operations += layer.before.kernel_size**2 * read if layer.before else 0
    return operations + (_comparisons(layer) if layer.pool else 0)


def _comparisons(layer: LayerPlan) -> int:
    assert layer.pool is not None
    return (layer.pool.kernel_size**2 - 1) * layer.cout * layer.pooled_size**2
