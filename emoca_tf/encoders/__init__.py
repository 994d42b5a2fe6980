"""Networks from image to codes: the ``resnet50`` family of DECA/EMOCA and SMIRK's ``mobilenet_v3`` family."""
