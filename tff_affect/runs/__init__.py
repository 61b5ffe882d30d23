"""Carrying out a study: its runs, what each trains, and where they run."""
