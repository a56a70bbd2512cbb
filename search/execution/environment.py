"""Sets up what Ray reads when it is imported; imported before it."""

from search.config.environment import set_up

set_up()
