"""The embedded phone-sized encoders, step 5 of 5: pose and shape encoder once more, skin has colour again.

Command: python training/train.py mobile_colour --set init=runs/mobile_pose --set expression=runs/expression.npz \
             --out runs/mobile_colour
Most of the photographs are grey, and their pixels taught step 4 that skin is grey, in coloured photos too. Here albedo
and light learn from renders alone, and landmarks of turned heads count still more. A quarter of an hour on 2 cores;
pose and shape encoder are taken from here.
"""

from dataclasses import replace

from training.recipes import mobile_pose

config = replace(
    mobile_pose.config,
    init=("runs/mobile_pose",),
    data=mobile_pose.config.data.replace("2*rendered", "5*rendered"),
    steps=3000,
    weights=replace(mobile_pose.config.weights, photometric=0.0, codes=2.0, landmarks_mp=5.0, landmarks_ocular=30.0),
)
