"""What a shell takes from programs that it starts in the background."""

import signal


def restore() -> None:
    """Let Ctrl-C and a hang-up arrive again, here and in the programs that are started from here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell sets it for what it starts with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
