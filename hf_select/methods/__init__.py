"""Methods: signals in, picks out. No model, no text, no torch in here."""
