"""Adapt mmseg's losses to a few labelled pixels an image."""
