"""The embedded phone-sized encoders, step 3 of 3: all three get used to full resolution; no shared trunk any more.

Command: python training/train.py mobile_finish --set init=runs/mobile --out runs/mobile_finish
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    tied=False,
    input_size=224,
    init=("runs/mobile",),
    learning_rate=3e-4,
    batch_size=16,
    steps=600,
    weights=replace(mobile_pretrain.config.weights, labels=0.5, hint=0.5),
)
