"""Per-sample gradients, reduced on the fly to norms, dots and projections; a batch's full ones are never held."""
