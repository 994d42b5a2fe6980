"""The embedded phone-sized encoders, step 3 of 10: the expression encoder alone, on a trunk of its own.

Command: python training/train.py mobile_expression --set init=runs/mobile_more3 --out runs/mobile_expression
Until here one trunk served all three encoders. From here on this one knows expressions only: the true ones of renders
count several times as much, and nothing is drawn or projected. About 40 minutes on 2 cores. Next: mobile.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    stage="coarse",
    seed=4,
    tied=False,
    init=("runs/mobile_more3",),
    augment="mobile-tilted",
    steps=9000,
    weights=replace(
        mobile_pretrain.config.weights,
        codes=8.0, shape_reg=0.0,
        landmarks_mp=0.0, landmarks_ocular=0.0, eye_closure_mp=0.0, mouth_closure_mp=0.0, lip_corner_mp=0.0,
    ),
)  # fmt: skip
