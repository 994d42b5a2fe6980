"""EMOCA v2 without lip reading: MediaPipe landmarks, absolute and relative; the photo behind the rendering.

Command: python training/train.py coarse_v2 --set data=shards:SHARDS --set init=deca.npz
         --set emotion_network=emotion_resnet50.npz
Time: a day on a GPU, not run here. Expected: mouths and lids closer to the picture than with coarse; the release gives
no table for this setting.
"""

from training.config import Config, Weights

config = Config(
    stage="coarse",
    data="shards:SHARDS",
    use_seg="gt",
    background="input",
    weights=Weights(
        eye_closure=0.0, mouth_closure=0.0, lip_corner=0.0,
        landmarks_mp=1.0, eye_closure_mp=0.5, mouth_closure_mp=0.5, lip_corner_mp=0.5,
    ),
)  # fmt: skip
