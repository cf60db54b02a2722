"""Runs that are killed at chosen instants, started again, and compared.

``python -m tests.faults`` does all of it; the suite does a part.
"""
