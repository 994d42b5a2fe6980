"""The embedded phone-sized encoders, step 4 of 5: pose, identity, albedo and light, mostly from photographs.

Command: python training/train.py mobile_pose --set init=runs/mobile_more --set expression=runs/expression.npz \
             --out runs/mobile_pose
They learn to suit the expressions of step 3, which stay as they are. Landmarks count in units of the inter-ocular
distance, so that turned heads count more, and albedo and light learn from the photographs' pixels. A quarter of an hour
on 2 cores. Next: mobile_colour.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    init=("runs/mobile_more",),
    expression="runs/expression.npz",
    data="2*rendered:FACES/synthetic_train.npz"
    "+2*rendered:FACES/synthetic_train2.npz"
    "+10*packed:FACES/mux_train_jpeg.npz"
    "+6*mosaics:FACES/fer_train.npz",
    learning_rate=4e-4,
    steps=2000,
    weights=replace(
        mobile_pretrain.config.weights,
        photometric=2.0, landmarks_mp=10.0, landmarks_ocular=20.0, points=5.0, taught=0.0, deformation=0.0, labels=0.0,
        eye_closure_mp=0.0, mouth_closure_mp=0.0, lip_corner_mp=0.0,
    ),
)  # fmt: skip
