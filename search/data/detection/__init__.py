"""Pictures with boxes, for detectors: COCO's format, checked beforehand, and a set made of scikit-learn's digits."""
