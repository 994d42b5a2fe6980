"""What the emotion loss is worth, one half: the last stage of the embedded model as it is.

Command: python training/train.py ablation_with --set init=runs/mobile_pretrain --out runs/ablation_with
"""

from training.recipes import mobile

config = mobile.config
