"""The embedded phone-sized encoders, step 7 of 10: the expression encoder on new renders that are moved and mirrored.

Command: python -m training.datasets.rendered FACES/synthetic_train5.npz --count 24000 --seed 4
         python -m training.datasets.rendered FACES/synthetic_train6.npz --count 24000 --seed 5 --free 0.1
         python -m training.export_preset runs/expression.npz --gain 0.8 -o runs/onward.npz
         python training/train.py mobile_expression_moved --out runs/mobile_expression_moved
Begins with the mean of step 6, its gain taken out, and the linear readers of its run. Every visit shows a render
mirrored or not, and moved, so that it is not soon known by heart; fewer are blurred, and fewer of the second set show
movements without a class. About 40 minutes on 2 cores. Next: mobile_expression_placed.
"""

from dataclasses import replace

from training.recipes import mobile_expression_fresh

config = replace(
    mobile_expression_fresh.config,
    seed=9,
    init=("runs/mobile_expression_fresh", "runs/onward.npz"),
    data="3*rendered:FACES/synthetic_train5.npz,known=expression"
    "+3*rendered:FACES/synthetic_train6.npz,known=expression"
    "+2*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+2*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    learning_rate=5e-4,
    ema=0.998,
    steps=8000,
)
