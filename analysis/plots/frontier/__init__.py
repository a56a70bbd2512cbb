"""The plot of accuracy against cost: the drawing, the names of points, and where labels go."""
