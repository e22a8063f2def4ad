"""Quality: how hard or how useful each row is for a model."""
