"""The embedded phone-sized encoders, step 6 of 7: EMOCA's coarse stage; the rendered face must feel like the photo.

Command: python training/train.py mobile --out runs/mobile
         python -m training.export_preset runs/mobile_expression_fresh --gain 1.25 -o runs/start.npz
         python -m training.export_preset runs/mobile --gain 1.25 -o runs/end.npz
         python -m training.average runs/start.npz runs/end.npz -o runs/expression.npz
Learnt: the expression encoder, from all that steps 3 to 5 learn from, landmarks, and the emotion network's features of
photo and rendering. Rare emotions are drawn more often than before. The mean with the start is taken.
A quarter of an hour on 2 cores; docs/mobile-training.md has what it gave, and the earlier runs that mobile_pose begins
with. Next: mobile_pose.
"""

from dataclasses import replace

from training.recipes import mobile_expression_fresh, mobile_pretrain

config = replace(
    mobile_expression_fresh.config,
    seed=8,
    init=("runs/mobile_expression_fresh",),
    data="2*rendered:FACES/synthetic_train3.npz"
    "+2*rendered:FACES/synthetic_train4.npz"
    "+3*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+4*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    balance_power=0.75,
    background="input",
    emotion_distance="correlation",
    learning_rate=2e-4,
    steps=1200,
    weights=replace(mobile_pretrain.config.weights, emotion=5.0, shape_reg=0.0, codes=16.0),
)
