"""gunicorn's settings as the portal has them, without the hooks that know the portal."""

from runpy import run_path

globals().update(
    {
        name: setting
        for name, setting in run_path("gunicorn.conf.py").items()
        if not name.startswith("_")
        and not callable(setting)
        and name not in {"workers", "max_requests", "reuse_port"}
    }
)
