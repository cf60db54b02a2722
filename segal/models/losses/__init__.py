"""Losses of mmseg on few labels: where they look, and what they count."""
