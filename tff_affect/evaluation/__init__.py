"""Evaluation of runs: results per client, intervals over clients, tests, post-processing of predictions."""
