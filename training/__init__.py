"""Training of the encoders: recipes, data sets, stages."""
