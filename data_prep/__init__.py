"""Sources to cohorts: readers, converters and the synthetic cohort. Knows formats, nothing of learning."""
