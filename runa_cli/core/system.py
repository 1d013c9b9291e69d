"""Who runs this process, and on which machine, as the system says it."""

import os


def system_user() -> str:
    """Return the name of the user whose rights the process has, or the user's number where there is no name.

    The environment is not asked: in cron it is empty, and anybody can set it.
    """
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return str(os.geteuid()) if hasattr(os, "geteuid") else ""


def host_name() -> str:
    """Return the name of this machine."""
    return os.uname().nodename
