"""The embedded phone-sized encoders, step 2 of 5: the same lessons with finer places, from the plain trunk's weights.

Command: python training/train.py mobile_pretrain --set init=runs/mobile_start.npz --out runs/mobile_pretrain
About 45 minutes on 2 cores. Next: mobile.
"""

from dataclasses import replace

from training.recipes import mobile_start

config = replace(
    mobile_start.config,
    family="separable_fine",
    init=("runs/mobile_start.npz",),
    data=mobile_start.config.data.replace("3*rendered", "4*rendered"),
    steps=9000,
    weights=replace(mobile_start.config.weights, landmarks_ocular=5.0),
)
