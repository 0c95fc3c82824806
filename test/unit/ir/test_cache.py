"""Where the parser's tables are kept."""

from __future__ import annotations

import os
import sys

import platformdirs
import pytest
from platformdirs.unix import Unix

from tilewright.ir.reading.cache import cache_folder


def test_an_absolute_path_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.path.abspath("somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", folder)
    for system in ("linux", "win32", "darwin"):
        monkeypatch.setattr(sys, "platform", system)
        assert cache_folder() == os.path.join(folder, "tilewright")


@pytest.mark.parametrize("folder", [None, "", "relative/path"])
def test_elsewhere_caches_are_where_the_library_has_them(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux its rule is written out, since to import it takes long; a relative path doesn't count (XDG says so)."""
    if folder is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
    monkeypatch.setattr(sys, "platform", "linux")
    found = cache_folder()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert found == Unix("tilewright", appauthor=False).user_cache_dir


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_systems_have_rules_of_their_own(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name, appauthor: f"{name} {appauthor}")
    assert cache_folder() == "tilewright False"
