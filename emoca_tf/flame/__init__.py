"""The head as data (``head``) and as a Keras layer (``layer``): parameters -> vertices and landmarks."""
