"""Federated affect recognition from facial action units, with honest measures of what it protects."""

__version__ = "0.1.0"
