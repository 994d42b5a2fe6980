"""One loss a function: tensors in, scalars out. Weights (lambda) belong to training."""
