"""The embedded phone-sized encoders, step 3 of 5: EMOCA's coarse stage; the rendered face must feel like the photo.

Command: python training/train.py mobile --set init=runs/mobile_more --out runs/mobile
         python -m training.export_preset runs/mobile --gain 1.15 -o runs/expression.npz
Learnt: the expression encoder, on a trunk of its own from here on, from all that step 1 learns from and from the
emotion network's features of photo and rendering. A quarter of an hour on 2 cores; docs/mobile-training.md has what
it gave. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    stage="coarse",
    tied=False,
    init=("runs/mobile_more",),
    background="input",
    emotion_distance="correlation",
    learning_rate=2e-4,
    steps=1500,
    weights=replace(
        mobile_pretrain.config.weights,
        emotion=5.0, taught=1.5, deformation=0.5, shape_reg=0.0, codes=0.0,
    ),
)  # fmt: skip
