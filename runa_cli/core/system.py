"""Who runs this process, and on which machine, as the system says it."""

import os
import stat


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


def may_be_changed_by_others(status: os.stat_result) -> bool:
    """Tell whether another user than root may write to a file or directory with this status.

    A group that nobody else is in, as many systems give each user, makes no difference.
    """
    if not hasattr(os, "geteuid"):
        return False  # such a system has other rights than these
    others = stat.S_IMODE(status.st_mode) & stat.S_IWOTH
    group = stat.S_IMODE(status.st_mode) & stat.S_IWGRP and not _is_private_group(status.st_gid)
    return status.st_uid not in {0, os.geteuid()} or bool(others or group)


def _is_private_group(number: int) -> bool:
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_gid == user.pw_gid and group.gr_name == user.pw_name and {*group.gr_mem} <= {user.pw_name}
