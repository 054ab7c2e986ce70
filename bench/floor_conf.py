"""gunicorn's settings for the floor: the portal's own, without the hooks that import the portal."""

from runpy import run_path

globals().update(
    {
        name: setting
        for name, setting in run_path("gunicorn.conf.py").items()
        if not name.startswith("_") and not callable(setting)
    }
)
