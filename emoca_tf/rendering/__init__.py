"""Head and codes -> picture: camera, rasteriser, texture, spherical-harmonics light, displacement."""
