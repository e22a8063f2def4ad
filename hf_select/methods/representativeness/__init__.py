"""Representativeness: how well the picks stand for the whole pool."""
