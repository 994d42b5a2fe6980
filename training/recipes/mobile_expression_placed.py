"""The embedded phone-sized encoders, step 8 of 10: the expression encoder learns above all where things are.

Four rounds, the last one on new renders; docs/mobile-training.md has all commands. The first and the third one:
Command: python training/train.py mobile_expression_placed --out runs/mobile_expression_placed
         python training/train.py mobile_expression_placed --set init=runs/mobile_expression_placed2 --set seed=17 \
             --set steps=3500 --set learning_rate=5e-4 --out runs/mobile_expression_placed3
As step 7, on its pictures, more of them renders; but MediaPipe's landmarks, which must be readable from the trunk's
features, count ten times as much, the rate is twice as high, and wide layers learn at half of it (calm) instead of a
tenth: those are the ones behind the maps that are laid out flat. An hour and a half on 2 cores. Next:
mobile_moved.
"""

from dataclasses import replace

from training.recipes import mobile_expression_moved

config = replace(
    mobile_expression_moved.config,
    seed=13,
    init=("runs/mobile_expression_moved",),
    data="4*rendered:FACES/synthetic_train5.npz,known=expression"
    "+4*rendered:FACES/synthetic_train6.npz,known=expression"
    "+2*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+2*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    learning_rate=1e-3,
    calm=0.5,
    steps=15000,
    weights=replace(mobile_expression_moved.config.weights, points=100.0),
)
