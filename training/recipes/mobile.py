"""The embedded phone-sized encoders, step 4 of 10: EMOCA's coarse stage; the rendered face must feel like the photo.

Command: python training/train.py mobile --set init=runs/mobile_expression --out runs/mobile
         python -m training.export_preset runs/mobile_expression --gain 1.25 -o runs/start.npz
         python -m training.export_preset runs/mobile --gain 1.25 -o runs/end.npz
         python -m training.average runs/start.npz runs/end.npz -o runs/feeling.npz
Learnt: the expression encoder, from all that step 3 learns from, landmarks, and the emotion network's features of photo
and rendering. The mean with the start is taken.
Twenty minutes on 2 cores; docs/mobile-training.md has what it gave, and the other runs that mobile_pose begins with.
Next: mobile_expression_more, from the same start.
"""

from dataclasses import replace

from training.recipes import mobile_expression, mobile_pretrain

config = replace(
    mobile_expression.config,
    seed=5,
    init=("runs/mobile_expression",),
    background="input",
    emotion_distance="correlation",
    learning_rate=2e-4,
    steps=1500,
    weights=replace(mobile_pretrain.config.weights, emotion=5.0, shape_reg=0.0, codes=8.0),
)
