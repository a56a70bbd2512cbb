"""Spaces made of spaces: architectures with hyperparameters, and one architecture alone."""

from spaces.joint.fixed import OnlySpace
from spaces.joint.space import Joint, JointSpace

__all__ = ["Joint", "JointSpace", "OnlySpace"]
