"""Where images come from: built-in sets, folders, Parquet files and tar shards, and how they are decoded."""
