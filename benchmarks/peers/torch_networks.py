"""Our networks in PyTorch on the CPU, eager and traced, with our weights; see ``benchmarks/duel.py`` for the protocol.

Input arrays: ``kind`` (a key of NETWORKS), ``input`` (our layout, channels last) and the state under torch names. A
case is ``MODE BATCH``, mode ``eager`` or ``jit`` (traced, frozen, optimised for inference), or ``value``: the sum of
all outputs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = (
    ((16, 1, 0),),
    ((24, 2, 4), (24, 1, 3)),
    ((40, 2, 3),) + ((40, 1, 3),) * 2,
    ((80, 2, 6), (80, 1, 2.5), (80, 1, 2.3), (80, 1, 2.3)),
    ((112, 1, 6),) * 2,
    ((160, 2, 6),) + ((160, 1, 6),) * 2,
    ((960, 1, -1),),
)
SMALL = (
    ((16, 2, 0),),
    ((24, 2, 4.5), (24, 1, 3.67)),
    ((40, 2, 4),) + ((40, 1, 6),) * 2,
    ((48, 1, 3),) * 2,
    ((96, 2, 6),) + ((96, 1, 6),) * 2,
    ((576, 1, -1),),
)


class Network(nn.Module):
    """One of the networks, its weights looked up by name."""

    def __init__(self, state: dict[str, Tensor], forward: Callable[[Network, Tensor], Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name.replace(".", "_"), value)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)

    def w(self, name: str) -> Tensor | None:
        return getattr(self, name.replace(".", "_"), None)

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0, groups: int = 1) -> Tensor:
        return F.conv2d(x, self.w(f"{name}.weight"), self.w(f"{name}.bias"), stride, padding, 1, groups)

    def same(self, x: Tensor, name: str, stride: int, groups: int = 1) -> Tensor:
        """A 3x3 convolution padded as TensorFlow does: at stride 2 only below and on the right."""
        if stride == 1:
            return self.conv(x, name, 1, 1, groups)
        return self.conv(F.pad(x, (0, 1, 0, 1)), name, 2, 0, groups)

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        parts = [self.w(f"{name}.{leaf}") for leaf in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, False, 0.0, eps)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.w(f"{name}.weight"), self.w(f"{name}.bias"))


def resnet(net: Network, x: Tensor, prefix: str, caffe: bool) -> Tensor:
    x = F.relu(net.norm(net.conv(x, f"{prefix}conv1", 2, 3), f"{prefix}bn1"))
    x = F.max_pool2d(x, 3, 2, 0, ceil_mode=True) if caffe else F.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            name, stride = f"{prefix}layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            first, second = (stride, 1) if caffe else (1, stride)
            y = F.relu(net.norm(net.conv(x, f"{name}conv1", first), f"{name}bn1"))
            y = F.relu(net.norm(net.conv(y, f"{name}conv2", second, 1), f"{name}bn2"))
            y = net.norm(net.conv(y, f"{name}conv3"), f"{name}bn3")
            if block == 0:
                x = net.norm(net.conv(x, f"{name}downsample.0", stride), f"{name}downsample.1")
            x = F.relu(x + y)
    return x.mean((2, 3))


def mobilenet(net: Network, x: Tensor, prefix: str, large: bool) -> Tensor:
    def norm(x: Tensor, name: str) -> Tensor:
        return net.norm(x, name, 1e-3)

    x = F.relu(norm(net.same(x, f"{prefix}conv_stem", 2), f"{prefix}bn1"))
    for stage, blocks in enumerate(LARGE if large else SMALL):
        for block, (out, stride, expansion) in enumerate(blocks):
            name = f"{prefix}blocks.{stage}.{block}"
            if expansion < 0:
                x = F.relu(norm(net.conv(x, f"{name}.conv"), f"{name}.bn1"))
                continue
            if expansion == 0:
                y = F.relu(norm(net.same(x, f"{name}.conv_dw", stride, x.shape[1]), f"{name}.bn1"))
                y = norm(net.conv(y, f"{name}.conv_pw"), f"{name}.bn2")
            else:
                y = F.relu(norm(net.conv(x, f"{name}.conv_pw"), f"{name}.bn1"))
                y = F.relu(norm(net.same(y, f"{name}.conv_dw", stride, y.shape[1]), f"{name}.bn2"))
                y = norm(net.conv(y, f"{name}.conv_pwl"), f"{name}.bn3")
            x = x + y if stride == 1 and x.shape[1] == out else y
    return x.mean((2, 3))


def encoder(net: Network, x: Tensor) -> Tensor:
    return net.linear(F.relu(net.linear(resnet(net, x, "encoder.", False), "layers.0")), "layers.2")


def emotion_resnet(net: Network, x: Tensor) -> Tensor:
    features = resnet(net, x, "backbone.", True)
    return torch.cat([features, net.linear(features, "linear")], 1)


def emotion_mobilenet(net: Network, x: Tensor) -> Tensor:
    features = mobilenet(net, x, "backbone.", True)
    return torch.cat([features, net.linear(features, "linear")], 1)


def smirk_expression(net: Network, x: Tensor) -> Tensor:
    y = net.linear(mobilenet(net, x, "encoder.", True), "expression_layers.0")
    return torch.cat([y[:, :50], y[:, 50:52].clamp(0, 1), F.relu(y[:, 52:53]), y[:, 53:].clamp(-0.2, 0.2)], 1)


def emotion_default(net: Network, x: Tensor) -> Tensor:
    x = F.interpolate(x[:, :, 24:-24, 24:-24], (112, 112), mode="bilinear", align_corners=False)
    x = x - torch.tensor([122.782, 117.001, 104.298])[:, None, None] / 255

    def separable(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return net.conv(net.same(x, f"{name}.depthwise", stride, x.shape[1]), f"{name}.pointwise")

    for block in range(4):
        name = f"dense{block}.conv"
        x = total = F.relu(separable(x, f"{name}0", 2) if block else net.same(x, f"{name}0", 2))
        for index in (1, 2, 3):
            total = total + separable(x, f"{name}{index}")
            x = F.relu(total)
    features = x.mean((2, 3))
    logits = net.linear(features, "fc")
    return torch.cat([features, logits, net.linear(logits.softmax(1), "circumplex")], 1)


def detail(net: Network, x: Tensor) -> Tensor:
    x = net.norm(net.linear(x, "l1.0").view(-1, 128, 8, 8), "conv_blocks.0")
    for index in (1, 5, 9, 13, 17):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = net.norm(net.conv(x, f"conv_blocks.{index + 1}", 1, 1), f"conv_blocks.{index + 2}", 0.8)
        x = F.leaky_relu(x, 0.2)
    return 0.01 * torch.tanh(net.conv(x, "conv_blocks.21", 1, 1))


NETWORKS: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "resnet50 encoder": encoder,
    "emotion resnet50": emotion_resnet,
    "emotion mobilenet": emotion_mobilenet,
    "emotion default": emotion_default,
    "smirk pose": lambda net, x: net.linear(mobilenet(net, x, "encoder.", False), "pose_cam_layers.0"),
    "smirk shape": lambda net, x: net.linear(mobilenet(net, x, "encoder.", True), "shape_layers.0"),
    "smirk expression": smirk_expression,
    "D_detail": detail,
}


def main() -> None:
    arrays = dict(np.load(sys.argv[1]))
    kind, given = str(arrays.pop("kind")), torch.tensor(arrays.pop("input"))
    given = given.permute(0, 3, 1, 2).contiguous() if given.ndim == 4 else given
    network = Network({name: torch.tensor(value) for name, value in arrays.items()}, NETWORKS[kind]).eval()
    traced: dict[int, torch.jit.ScriptModule] = {}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    for line in sys.stdin:
        mode, batch = line.split()
        x = given[: int(batch)]
        with torch.inference_mode():
            if mode == "value":
                print(float(network(x).sum()), flush=True)
                continue
            if mode == "jit" and len(x) not in traced:
                traced[len(x)] = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, x)))
            action = network if mode == "eager" else traced[len(x)]
            action(x)
            times = []
            for _ in range(5):
                start = time.perf_counter()
                action(x)
                times.append(time.perf_counter() - start)
        print(min(times) * 1e3, flush=True)


if __name__ == "__main__":
    main()
