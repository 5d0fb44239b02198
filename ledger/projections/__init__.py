"""Projections: read models that follow the log in order and can be rebuilt from it."""
