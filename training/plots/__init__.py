"""Figures of what was trained, in the same look; each file draws one kind of figure."""
