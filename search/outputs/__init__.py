"""What a run leaves for others: tables, plots, networks to deploy, TensorBoard's events."""
