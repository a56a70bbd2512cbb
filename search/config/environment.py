"""How a run of ours wants Ray: what Ray reads from the environment when it is imported or started."""

import os

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no loggers of Tune's
    "RAY_AIR_NEW_OUTPUT": "0",  # no second output engine
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def set_up() -> None:
    """Set what is not set; to be called before anything imports Ray, a user's callback included."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
