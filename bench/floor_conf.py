"""The floor is served by the portal's own settings; its hooks, which know the portal, stay out."""

from runpy import run_path

globals().update(
    {
        name: setting
        for name, setting in run_path("gunicorn.conf.py").items()
        if not name.startswith("_") and not callable(setting)
    }
)
