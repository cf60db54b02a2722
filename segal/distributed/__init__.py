"""Ranks: how processes start, meet, talk and end."""
