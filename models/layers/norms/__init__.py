"""The batch norms of a whole network: over the images of several processes, and measured again."""
