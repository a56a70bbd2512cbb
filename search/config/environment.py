"""How a run of ours wants Ray: what Ray reads from the environment when it is imported or started."""

import os
import sys

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no loggers of Tune's
    "RAY_AIR_NEW_OUTPUT": "0",  # no second output engine
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

_AUTHENTICATION = {"RAY_AUTH_MODE": "token"}
"""Read once, by the import: processes that this one starts afterwards must not want what it does not give."""


def set_up() -> None:
    """Set what is not set; to be called before anything imports Ray, a user's callback included."""
    settings = _SETTINGS if "ray" in sys.modules else _SETTINGS | _AUTHENTICATION
    for name, value in settings.items():
        os.environ.setdefault(name, value)
