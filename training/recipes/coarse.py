"""EMOCA's COARSE stage as released: AffectNet, emotion consistency, only the expression encoder learns.

Command: python training/train.py coarse --set data=affectnet:/data/AffectNet --set init=deca.npz
         --set emotion_network=emotion_resnet50.npz
Time: a day on a GPU, not run here. Expected: the paper's AffectNet table (training/evaluate.py).
"""

from training.config import Config

config = Config(stage="coarse", data="affectnet:AffectNet")
