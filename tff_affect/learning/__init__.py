"""Federated training, its baselines, and the worker that runs it."""
