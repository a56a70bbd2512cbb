"""What a run is asked to do: one section per subject, presets, and how files and options become one configuration."""
