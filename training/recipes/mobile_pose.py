"""The embedded phone-sized encoders, step 3 of 5: pose, identity, albedo and light, mostly from photographs.

Command: python training/train.py mobile_pose --set init=runs/mobile_pretrain --out runs/mobile_pose
Landmarks count in units of the inter-ocular distance, so that turned heads count more, and albedo and light learn from
the photographs' pixels. About 20 minutes on 2 cores. Next: mobile_colour, mobile.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    init=("runs/mobile_pretrain",),
    data="2*rendered:FACES/synthetic_train.npz"
    "+5*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+3*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    learning_rate=4e-4,
    steps=2000,
    weights=replace(
        mobile_pretrain.config.weights,
        photometric=2.0, landmarks_mp=10.0, landmarks_ocular=20.0, points=5.0, taught=1.0, deformation=0.5, labels=1.0,
    ),
)  # fmt: skip
