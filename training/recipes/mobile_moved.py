"""The embedded phone-sized encoders, step 9 of 10: EMOCA's coarse stage again; the embedded expression is a mean of it.

Three rounds, whose mean ships; the tenth mobile_pose learns under the first, the eleventh before the second:
Command: python training/train.py mobile_moved --out runs/mobile_moved
         python -m training.export_preset runs/mobile_moved --gain 1.25 -o runs/moved.npz
         python training/train.py mobile_moved --set init=runs/mobile_expression_placed3,runs/mobile_pose11 \
             --set seed=19 --set steps=600 --set validate_every=300 --out runs/mobile_mended
         python -m training.export_preset runs/mobile_mended --gain 1.25 -o runs/mended.npz
The third, from the fourth end of step 8 on new renders, and the mean are in docs/mobile-training.md.
As step 4, from the end of step 8, on step 8's pictures, with its weight of the landmarks in the features, its share of
the rate for wide layers (calm), and twice step 4's weight of true expressions. Of each the checkpoint with the lowest
validation loss. Half an hour on 2 cores. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile, mobile_expression_placed

config = replace(
    mobile.config,
    seed=14,
    init=("runs/mobile_expression_placed",),
    data=mobile_expression_placed.config.data,
    calm=0.5,
    steps=1800,
    validate_every=600,
    weights=replace(mobile.config.weights, codes=16.0, points=100.0),
)
