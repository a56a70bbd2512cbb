"""On maps smaller than a kernel only its middle is convolved: the same sums and gradients as with all of it."""

import pytest
import torch
import torch.nn.functional as F

from models.layers.binarisers import Xnor
from models.layers.binary import BinaryConv2d, Sizes
from models.layers.modes import Mode


@pytest.mark.parametrize("mode", [Mode.BWBA, Mode.FWBA])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (2, 4), (8, 8)])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 3)])
def test_a_kernel_without_its_idle_border_is_the_kernel(kernel_size, dilation, size, stride, mode):
    torch.manual_seed(0)
    padding = dilation * (kernel_size // 2)
    layer = BinaryConv2d(Sizes(4, 6, kernel_size, stride, padding, dilation, 2), binariser=Xnor(), mode=mode).double()
    x = torch.randn(3, 4, *size, dtype=torch.float64, requires_grad=True)
    found = layer(x)
    kernel = layer.kernel()
    sums = F.conv2d(layer.binarised(x), kernel.weight, None, stride, padding, dilation, 2)
    wanted = sums if kernel.scale is None else sums * kernel.scale[:, None, None]
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    probe = torch.randn_like(wanted)
    for one, other in zip(
        *(torch.autograd.grad((output * probe).sum(), [x, layer.weight]) for output in (found, wanted)), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_kernel_with_other_padding_is_left_whole():
    layer = BinaryConv2d(Sizes(2, 2, 5, 1, 1), binariser=Xnor())
    assert layer(torch.randn(1, 2, 3, 3)).shape == (1, 2, 1, 1)
