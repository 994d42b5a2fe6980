"""A phone-sized student from synthetic pictures alone: its teacher is the truth.

Command: python training/train.py distill_truth
Time: 48 000 faces, about an hour on 2 cores; --dry-run estimates it. A shorter run is in docs/training.md.
Expected: exp_correlation and points keep getting better to the end; the picture shows the teacher's expression.
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
