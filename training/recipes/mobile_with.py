"""What the emotion loss is worth: as mobile_without, plus the emotion loss and nothing else.

Command: python training/train.py mobile_with --set init=runs/mobile_pretrain --out runs/mobile_with
"""

from dataclasses import replace

from training.recipes import mobile, mobile_without

config = replace(
    mobile_without.config,
    weights=replace(mobile_without.config.weights, emotion=mobile.config.weights.emotion),
)
