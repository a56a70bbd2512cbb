"""What all four packages use: files that appear whole, values as JSON, public names that are loaded on use."""
