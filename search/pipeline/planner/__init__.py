"""From a folder of images and a budget to a configuration: what is there, how fast it goes, and what fits."""
