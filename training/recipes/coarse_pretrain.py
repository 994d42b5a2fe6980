"""DECA's pretraining on labelled landmarks: pose, shape, expression and camera from 68 points, no pictures yet.

Command: python training/train.py coarse_pretrain --set data=shards:SHARDS
Time: days on a GPU (100 000 steps), not run here. Expected: landmarks follow the face; nothing was published for this
step alone. Next: coarse_deca.
"""

from training.config import Config, Weights

config = Config(
    stage="coarse_pretrain",
    data="shards:SHARDS",
    batch_size=64,
    balanced=False,
    learning_rate=1e-4,
    weights=Weights(
        emotion=0.0, photometric=0.0, landmarks=1.0, eye_closure=1.0, mouth_closure=0.5, lip_corner=0.0,
        shape_reg=1e-4, exp_reg=1e-4,
    ),
)  # fmt: skip
