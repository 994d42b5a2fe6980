"""DECA's coarse training: pictures, identity and the exchange of shape codes on top of the pretraining.

Command: python training/train.py coarse_deca --set init=runs/coarse_pretrain --set data=shards:SHARDS
Needs: VGGFace2 weights (--set identity_network=FILE) and pictures with known persons.
Time: days on a GPU (200 000 steps), not run here. Expected: shape as good as DECA's, NoW median 1.09 mm
(training/evaluate.py --now).
"""

from training.config import Config, Weights

config = Config(
    stage="coarse_pretrain",
    data="shards:SHARDS",
    batch_size=16,
    ring=2,
    exchange=True,
    balanced=False,
    use_seg="gt",
    background="input",
    learning_rate=1e-4,
    steps=200_000,
    weights=Weights(
        emotion=0.0, photometric=2.0, landmarks=1.0, eye_closure=1.0, mouth_closure=0.5, lip_corner=0.0, identity=0.2,
        shape_reg=1e-4, exp_reg=1e-4, tex_reg=1e-4, light_reg=1.0,
    ),
)  # fmt: skip
