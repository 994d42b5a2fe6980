"""The embedded phone-sized encoders, step 10 of 10: pose, identity, albedo and light.

Eleven rounds, all under the expressions of earlier runs; docs/mobile-training.md has all commands. The
first and the last one:
Command: python training/train.py mobile_pose --set init=runs/mobile_more2 --set expression=runs/late.npz \
             --out runs/mobile_pose
         DATA="5*rendered:FACES/synthetic_train5.npz+4*rendered:FACES/synthetic_train6.npz"
         DATA="$DATA+10*packed:FACES/mux_train_jpeg.npz"
         python training/train.py mobile_pose --set init=runs/mobile_pose10 --set expression=runs/placed3.npz \
             --set data=$DATA --set seed=18 --set steps=2000 --set learning_rate=3e-4 --set weights.points=0 \
             --out runs/mobile_pose11
They learn to suit those expressions, which stay as they are. Landmarks of photographs count in units of the
inter-ocular distance, so that turned heads count more, and three of ten photographs are tilted by up to 75 degrees.
Albedo and light learn from renders alone: most of the photographs are grey, and their pixels would teach that skin is
grey, in coloured photos too. Two hours on 2 cores.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    init=("runs/mobile_more2",),
    expression="runs/expression.npz",
    data="3*rendered:FACES/synthetic_train.npz"
    "+3*rendered:FACES/synthetic_train2.npz"
    "+3*rendered:FACES/synthetic_train3.npz"
    "+10*packed:FACES/mux_train_jpeg.npz"
    "+6*mosaics:FACES/fer_train.npz",
    augment="mobile-tilted",
    learning_rate=4e-4,
    steps=5500,
    weights=replace(
        mobile_pretrain.config.weights,
        landmarks_mp=5.0, landmarks_ocular=30.0, points=5.0, codes=2.0, taught=0.0, deformation=0.0, labels=0.0,
        eye_closure_mp=0.0, mouth_closure_mp=0.0, lip_corner_mp=0.0,
    ),
)  # fmt: skip
