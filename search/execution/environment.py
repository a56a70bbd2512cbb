"""Sets up what Ray reads when it is imported; imported before it."""

from search.ray_settings import set_up

set_up()
