"""Detectors: Faster R-CNN on a backbone that is a searched network, with parts that are binary or float."""
