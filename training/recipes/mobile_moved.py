"""The embedded phone-sized encoders, step 8 of 9: EMOCA's coarse stage again; the embedded expression is its end.

Command: python training/train.py mobile_moved --out runs/mobile_moved
         python -m training.export_preset runs/mobile_moved --gain 1.25 -o runs/moved.npz
As step 4, from the end of step 7, with its pictures and its weight of true expressions, twice that of step 4: all
that it learns from, landmarks, and the emotion network's features of photo and rendering. No mean is taken. A quarter
of an hour on 2 cores. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile, mobile_expression_moved

config = replace(
    mobile.config,
    seed=10,
    init=("runs/mobile_expression_moved",),
    data=mobile_expression_moved.config.data,
    steps=1200,
    weights=replace(mobile.config.weights, codes=16.0),
)
