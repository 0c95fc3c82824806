"""The console scripts. Signals and closed streams are taken care of, then all else is loaded."""

from __future__ import annotations

from .signals import catch_signals, leave, open_missing_streams


def opt() -> None:
    """`opt`, also as `mir-opt`."""
    _begin("opt")
    from .opt import main

    leave(main())


def mir_run() -> None:
    """`mir-run`."""
    _begin("mir-run")
    from .run import main

    leave(main())


def mir_sim() -> None:
    """`mir-sim`."""
    _begin("mir-sim")
    from .sim import main

    leave(main())


def mir_viz() -> None:
    """`mir-viz`."""
    _begin("mir-viz")
    from .viz import main

    leave(main())


def mir_translate() -> None:
    """`mir-translate`."""
    _begin("mir-translate")
    from .translate import main

    leave(main())


def _begin(command: str) -> None:
    catch_signals(command)
    open_missing_streams()
