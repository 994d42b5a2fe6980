"""Forward time of every encoder on the CPU: Keras ``tf.function``, for ResNet50 also an equal torch network if present.

Usage: python benchmarks/encoders.py [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.emotion.recognition import emotion_mobilenet, emotion_resnet50
from emoca_tf.encoders import detail, mobilenet_v3, resnet

BUILDERS: dict[str, Callable[[], Any]] = {
    "E_flame (resnet50)": lambda: resnet.resnet50_encoder(keras, 236),
    "emotion (resnet50)": lambda: emotion_resnet50(keras),
    "emotion (mobilenet)": lambda: emotion_mobilenet(keras),
    "SMIRK pose": lambda: mobilenet_v3.pose_encoder(keras),
    "SMIRK shape": lambda: mobilenet_v3.shape_encoder(keras),
    "SMIRK expression": lambda: mobilenet_v3.expression_encoder(keras),
    "D_detail": lambda: detail.detail_generator(keras),
}


def median_ms(call: Callable[[], Any], repeats: int) -> float:
    """Median milliseconds of one call after two warm-up calls."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[2:]))


def torch_resnet50(torch: Any, outputs: int) -> Any:
    """DECA's encoder layout in plain torch.nn, random weights."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            out = 4 * width
            self.body = nn.Sequential(
                *(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
                *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
                *(nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)),
            )
            same = inputs == out and stride == 1
            project = (nn.Conv2d(inputs, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            self.skip = nn.Identity() if same else nn.Sequential(*project)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.skip(x))

    parts = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, (width, blocks) in enumerate(resnet.STAGES):
        for block in range(blocks):
            parts.append(Block(inputs, width, 2 if stage and not block else 1))
            inputs = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, outputs)]
    return nn.Sequential(*parts, *head).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    try:
        import torch
    except ImportError:
        torch = None
        print("torch is not installed: only our own times (pip install 'emoca-tf[bench]' for the comparison)")
    rng = np.random.default_rng(0)
    for name, build in BUILDERS.items():
        model = build()
        forward = tf.function(lambda x, model=model: model(x, training=False))
        for batch in (1, 8):
            x = tf.constant(rng.random((batch, *model.input_shape[1:]), np.float32))
            ours = median_ms(lambda f=forward, x=x: f(x), repeats)
            line = f"{name:22s} batch {batch}: keras tf.function {ours:8.1f} ms"
            if torch is not None and name == "E_flame (resnet50)":
                images = torch.from_numpy(x.numpy().transpose(0, 3, 1, 2).copy())
                net = torch_resnet50(torch, 236)
                with torch.inference_mode():
                    eager = median_ms(lambda n=net, i=images: n(i), repeats)
                    traced = torch.jit.freeze(torch.jit.trace(net, images))
                    jit = median_ms(lambda n=traced, i=images: n(i), repeats)
                line += f", torch eager {eager:.1f} (ratio {ours / eager:.2f}), jit {jit:.1f} (ratio {ours / jit:.2f})"
            print(line, flush=True)


if __name__ == "__main__":
    main()
