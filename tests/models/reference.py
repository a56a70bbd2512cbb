"""An oracle: NAS-BNN's supernet written naively, one operation after another, on tensors with their published names.

Nothing here is shared with `models`. It says what the paper says, slowly: where it and `models` disagree, one is wrong.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F

from spaces import Architecture, NasBnnSpace


class Sign(torch.autograd.Function):
    """Sign with the gradient that the paper's lineage gives activations (Bi-Real) or weights (clipped identity)."""

    @staticmethod
    def forward(ctx, x, kind):
        ctx.save_for_backward(x)
        ctx.kind = kind
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        if ctx.kind == "weight":
            return torch.where((x >= -1) & (x <= 1), gradient, 0.0), None
        rising = (x >= -1) & (x < 0)
        falling = (x >= 0) & (x <= 1)
        slope = torch.where(rising, 2 + 2 * x, torch.where(falling, 2 - 2 * x, torch.zeros_like(x)))
        return gradient * slope, None


class RoundStraight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


def forward(
    tensors: dict[str, torch.Tensor],
    space: NasBnnSpace,
    architecture: Architecture,
    images: torch.Tensor,
    *,
    weights: str = "binary",
    activations: str = "binary",
    normalisation: str = "paper",
    training: bool = False,
) -> torch.Tensor:
    """Logits of one member. `tensors` may be leaves that want gradients; running statistics are updated in training."""

    def norm(x, name):
        c = x.shape[1]
        bn = {part: tensors[f"{name}.bn.{part}"][:c] for part in ("running_mean", "running_var", "weight", "bias")}
        return F.batch_norm(x, **bn, training=training, momentum=0.1, eps=1e-5)

    def shift(x, name):
        return x + tensors[f"{name}.bias"][:, : x.shape[1]]

    def prelu(x, name):
        return F.prelu(x, tensors[f"{name}.prelu.weight"][: x.shape[1]])

    def binarise(w):
        mean = w.mean((1, 2, 3), keepdim=True)
        if normalisation == "paper":
            w = (w - mean) / torch.sqrt(w.var((1, 2, 3), keepdim=True, unbiased=False) + 1e-5)
        elif normalisation == "authors":
            w = (w - mean) / w.std((1, 2, 3), keepdim=True)
        if weights == "float":
            return w
        return w.abs().mean((1, 2, 3), keepdim=True).detach() * Sign.apply(w, "weight")

    def convolve(x, w, stride, groups):
        x = Sign.apply(x, "activation") if activations == "binary" else x
        return F.conv2d(x, binarise(w), stride=stride, padding=w.shape[-1] // 2, groups=groups)

    def tile(x, channels):
        copies = -(-channels // x.shape[1])
        return x.repeat(1, copies, 1, 1)[:, :channels]

    def apply_matrix(w, matrix):
        out, inputs, k, _ = w.shape
        return F.linear(w.reshape(out, inputs, k * k), matrix).reshape(w.shape)

    def kernel(name, channels, k, groups, kernel_sizes):
        stored = tensors[f"{name}.weight"]
        available = min(channels, stored.shape[1])
        size = channels // groups
        starts = available // size
        w = torch.cat(
            [stored[b * size : (b + 1) * size, (b % starts) * size : (b % starts) * size + size] for b in range(groups)]
        )
        largest = kernel_sizes[-1]
        if k == largest:
            if weights == "binary" and f"{name}.fp2bin_{k}" in tensors:
                w = apply_matrix(w, tensors[f"{name}.fp2bin_{k}"])
            return w
        for small, large in reversed(list(pairwise(kernel_sizes))):
            if small >= k:
                cut = (large - small) // 2
                w = apply_matrix(w[:, :, cut:-cut, cut:-cut], tensors[f"{name}.matrix_{large}to{small}"])
        return w

    # stem: 8-bit weights with learned steps
    w = tensors["features.0.0.conv.weight"][: architecture.stem]
    step = tensors["features.0.0.conv.w_scale"][: architecture.stem].view(-1, 1, 1, 1)
    step = ScaleGradient.apply(step, 1 / (w.numel() * 127) ** 0.5)
    w = RoundStraight.apply((w / step).clamp(-128, 127)) * step
    x = F.conv2d(images, w, stride=space.stem_stride, padding=1)
    x = shift(prelu(shift(norm(x, "features.0.0.bn"), "features.0.0.move1"), "features.0.0.relu"), "features.0.0.move2")

    for i, (stage, layers) in enumerate(zip(space.stages, architecture.stages, strict=True), 1):
        for j, layer in enumerate(layers):
            name = f"features.{i}.{j}"
            stride = stage.stride if j == 0 else 1
            width = x.shape[1]
            w = kernel(f"{name}.binary_conv", width, layer.kernel_size, layer.groups, stage.kernel_sizes)
            y = norm(convolve(shift(x, f"{name}.move11"), w, stride, layer.groups), f"{name}.bn1")
            x = y + (F.avg_pool2d(x, 2) if stride == 2 else x)
            x = shift(prelu(shift(x, f"{name}.move12"), f"{name}.prelu1"), f"{name}.move13")
            w = tensors[f"{name}.binary_conv1x1.weight"][: layer.width, :width]
            y = norm(convolve(shift(x, f"{name}.move21"), w, 1, 1), f"{name}.bn2")
            x = y + tile(x, layer.width)
            x = shift(prelu(shift(x, f"{name}.move22"), f"{name}.prelu2"), f"{name}.move23")

    x = F.adaptive_avg_pool2d(x, 1).flatten(1)
    return F.linear(x, tensors["fc.weight"][:, : x.shape[1]], tensors["fc.bias"])


def published(supernet: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A supernet's own tensors (not copies) under the published names and in the published shapes.

    Written out by hand, as a second opinion on the importer.
    """
    state = dict(supernet.named_parameters()) | dict(supernet.named_buffers())
    result = {}

    def tail(ours, bn, before, slope, after):
        for part in ("weight", "bias", "running_mean", "running_var"):
            result[f"{bn}.bn.{part}"] = state[f"{ours}.tail.{part}"]
        result[f"{bn}.bn.num_batches_tracked"] = torch.tensor(7)
        result[f"{before}.bias"] = state[f"{ours}.tail.shift_in"].view(1, -1, 1, 1)
        result[f"{slope}.prelu.weight"] = state[f"{ours}.tail.slope"]
        result[f"{after}.bias"] = state[f"{ours}.tail.shift_out"].view(1, -1, 1, 1)

    result["features.0.0.conv.weight"] = state["stem.weight"]
    result["features.0.0.conv.w_scale"] = state["stem.step"]
    result["features.0.0.conv.w_init_state"] = torch.ones(1)
    tail("stem", *(f"features.0.0.{part}" for part in ("bn", "move1", "relu", "move2")))
    for i, stage in enumerate(supernet.space.stages, 1):
        largest = stage.kernel_sizes[-1]
        for j in range(stage.depths[-1]):
            ours, theirs = f"stages.{i - 1}.{j}", f"features.{i}.{j}"
            result[f"{theirs}.move11.bias"] = state[f"{ours}.kxk.shift"].view(1, -1, 1, 1)
            result[f"{theirs}.binary_conv.weight"] = state[f"{ours}.kxk.weight"]
            for name in (n for n in state if n.startswith(f"{ours}.kxk.shrinking.")):
                result[f"{theirs}.binary_conv.matrix_{name.rpartition('.')[2]}"] = state[name]
            if f"{ours}.kxk.bi_transformation" in state:
                result[f"{theirs}.binary_conv.fp2bin_{largest}"] = state[f"{ours}.kxk.bi_transformation"]
            result[f"{theirs}.binary_conv.scaling_factor"] = torch.zeros(state[f"{ours}.kxk.weight"].shape[0], 1, 1, 1)
            tail(f"{ours}.kxk", *(f"{theirs}.{part}" for part in ("bn1", "move12", "prelu1", "move13")))
            result[f"{theirs}.move21.bias"] = state[f"{ours}.pointwise.shift"].view(1, -1, 1, 1)
            result[f"{theirs}.binary_conv1x1.weight"] = state[f"{ours}.pointwise.weight"]
            result[f"{theirs}.binary_conv1x1.scaling_factor"] = torch.zeros(
                state[f"{ours}.pointwise.weight"].shape[0], 1, 1, 1
            )
            tail(f"{ours}.pointwise", *(f"{theirs}.{part}" for part in ("bn2", "move22", "prelu2", "move23")))
    result["fc.weight"], result["fc.bias"] = state["classifier.weight"], state["classifier.bias"]
    candidates = 1 + sum(stage.depths[-1] for stage in supernet.space.stages)
    result["biggest_cand"] = torch.zeros(candidates, 6)
    result["smallest_cand"] = torch.zeros(candidates, 6)
    return result
