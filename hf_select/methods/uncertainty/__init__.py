"""Uncertainty: where the model does not know."""
