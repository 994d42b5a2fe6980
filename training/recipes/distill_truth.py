"""A phone-sized student from synthetic pictures alone: its teacher is the truth.

Command: python training/train.py distill_truth
"""

from training.config import Config, Weights

config = Config(
    stage="distill",
    family="mobilenet_v3",
    teacher="truth",
    emotion_network="none",
    batch_size=16,
    learning_rate=1e-3,
    clip_norm=1.0,
    steps=3000,
    weights=Weights(teacher_emotion=0.0),
)
