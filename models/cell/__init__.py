"""Networks of the cell space: final ones, the mixture that searches, and candidates that inherit its weights."""
