"""The embedded phone-sized encoders, step 5 of 10: the expression encoder once more, on renders above all.

Command: python training/train.py mobile_expression_more --out runs/mobile_expression_more
Six of ten pictures are renders now (four of eleven before), of all three sets, and their true expressions count twice
as much. About 45 minutes on 2 cores. Next: mobile_expression_fresh.
"""

from dataclasses import replace

from training.recipes import mobile_expression

config = replace(
    mobile_expression.config,
    seed=6,
    init=("runs/mobile_expression",),
    data="2*rendered:FACES/synthetic_train.npz"
    "+2*rendered:FACES/synthetic_train2.npz"
    "+2*rendered:FACES/synthetic_train3.npz"
    "+2*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+2*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    steps=11_000,
    weights=replace(mobile_expression.config.weights, codes=16.0),
)
