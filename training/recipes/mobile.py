"""The embedded phone-sized encoders, step 3 of 4: EMOCA's coarse stage; the rendered face must feel like the photo.

Command: python training/train.py mobile --set init=runs/mobile_more --set steps=1500 --set augment=mobile \
             --out runs/mobile_early
         python -m training.export_preset runs/mobile_early --gain 1.15 -o runs/early.npz
         python training/train.py mobile --set init=runs/mobile_more2 --out runs/mobile
         python -m training.export_preset runs/mobile --gain 1.15 -o runs/late.npz
         python -m training.average runs/early.npz runs/late.npz -o runs/expression.npz
Learnt: the expression encoder, on a trunk of its own from here on, from all that step 1 learns from and from the
emotion network's features of photo and rendering. The mean of both runs is taken; the later one knows tilted faces.
Twenty minutes each on 2 cores; docs/mobile-training.md has what it gave. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    stage="coarse",
    tied=False,
    init=("runs/mobile_more2",),
    background="input",
    augment="mobile-tilted",
    emotion_distance="correlation",
    learning_rate=2e-4,
    steps=2000,
    weights=replace(
        mobile_pretrain.config.weights,
        emotion=5.0, taught=1.5, deformation=0.5, shape_reg=0.0, codes=0.0,
    ),
)  # fmt: skip
