"""Recurrent Keras networks over action-unit sequences."""
