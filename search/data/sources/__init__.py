"""Where images come from: built-in sets, folders and Parquet files, and how they are decoded."""
