"""The embedded phone-sized encoders, step 7 of 8: the expression encoder on new renders that are moved and mirrored."""

from dataclasses import replace

from training.recipes import mobile_expression_fresh

config = replace(
    mobile_expression_fresh.config,
    seed=9,
    init=("runs/mobile_expression_fresh", "runs/start.npz"),
    data="3*rendered:FACES/synthetic_train5.npz,known=expression"
    "+3*rendered:FACES/synthetic_train6.npz,known=expression"
    "+2*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+2*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    steps=9000,
    learning_rate=6e-4,
)
