"""The plot of accuracy against cost: its data, the drawing, and where labels go."""
