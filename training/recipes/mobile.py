"""The embedded phone-sized encoders, step 2 of 2: EMOCA's coarse stage; the rendered face must feel like the photo.

Command: python training/train.py mobile --set init=runs/mobile_pretrain --out runs/mobile
Learnt: the expression encoder, from everything that step 1 knew and from the emotion network's features of photo and
rendering. The weights that ship are those of ablation_without, see docs/mobile-training.md.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    stage="coarse",
    tied=False,
    still=True,
    init=("runs/mobile_pretrain",),
    background="input",
    learning_rate=2e-4,
    steps=500,
    weights=replace(
        mobile_pretrain.config.weights, emotion=1.0, hint=0.5, labels=0.7, posterior=0.7, shape_reg=0.0, codes=0.0
    ),
)
