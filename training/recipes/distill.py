"""A phone-sized student of a ResNet50 teacher: codes, vertices and emotion features.

Command: python training/train.py distill --set teacher=runs/coarse --set data=affectnet:/data/AffectNet
Time: a day on a GPU (100 000 steps), not run here. Expected: vertices within a few millimetres of the teacher's
(training/evaluate.py --geometry measures both).
"""

from training.config import Config

config = Config(
    stage="distill",
    family="mobilenet_v3",
    data="affectnet:AffectNet",
    learning_rate=1e-3,
    clip_norm=1.0,
    ema=0.999,
)
