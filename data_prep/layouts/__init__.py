"""The SYNTHETIC cohort in the layouts of tools and corpora."""
