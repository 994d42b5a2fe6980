"""Emotion networks: image -> features, valence, arousal, expression; and codes -> emotion."""
