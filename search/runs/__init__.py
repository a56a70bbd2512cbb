"""A run's folder and the truth in it: records, journal, study, and who may write."""
