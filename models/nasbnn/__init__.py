"""Networks of NAS-BNN: one architecture alone, and the supernet that shares weights among all."""
