"""Photo -> ``Capture``: codes, mesh and pictures of one head."""
