"""Where weights come from: presets, and the mapping from official checkpoints to our layers."""
