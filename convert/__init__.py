"""Conversion of trained models to TFLite and the judge of what it wrote."""
