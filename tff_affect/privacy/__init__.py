"""Privacy: what recordings, models and updates give away, and what bounds it."""
