"""Signals: what a pass over the text or the model tells about each row.

``keys`` names them (no torch in there); the other modules are the passes that read them.
"""
