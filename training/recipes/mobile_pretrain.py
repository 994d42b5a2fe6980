"""The embedded phone-sized encoders, step 2 of 5: the same lessons on a longer trunk, which starts as the short one.

Command: python training/train.py mobile_pretrain --set init=runs/mobile_start.npz --out runs/mobile_pretrain
About an hour on 2 cores. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile_start

config = replace(
    mobile_start.config,
    family="separable_long",
    init=("runs/mobile_start.npz",),
    data=mobile_start.config.data.replace("3*rendered", "4*rendered"),
    steps=11000,
    weights=replace(mobile_start.config.weights, landmarks_ocular=5.0),
)
