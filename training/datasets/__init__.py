"""Data: one reader a data set (:mod:`source` says what a reader is), and the input pipeline of every stage."""
