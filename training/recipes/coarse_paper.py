"""The COARSE stage with the length that the paper's text gives: 20 epochs at 5e-5, no early stopping.

Command: python training/train.py coarse_paper --set data=affectnet:/data/AffectNet --set init=deca.npz
         --set emotion_network=emotion_resnet50.npz
The release's own configuration (recipe coarse) stops early instead; its length in steps depends on the data, here on
AffectNet's 287 651 annotated training pictures.
Time: days on a GPU, not run here. Expected: the paper's AffectNet table (training/evaluate.py).
"""

from training.config import Config

config = Config(stage="coarse", data="affectnet:AffectNet", steps=20 * 287_651 // 32, patience=0)
