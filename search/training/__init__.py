"""Training and evaluation as plain functions, which know neither Ray nor Optuna nor runs."""
