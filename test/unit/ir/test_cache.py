"""Where the parser's tables are kept, who may have written them, and that nothing of them is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import platformdirs
import pytest
from platformdirs.unix import Unix

import tilewright
from tilewright.ir.reading import cache
from tilewright.ir.reading.cache import cache_folder
from tilewright.ir.reading.fast.construction import function_of
from tilewright.ir.reading.fast.memos import Memos, NotRead
from tilewright.ir.reading.fast.regexes import pack, unpack

from ..models import REFERENCE


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
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name, appauthor: f"/{name} {appauthor}")
    assert cache_folder() == "/tilewright False"


def test_without_a_home_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the current folder, which may be anybody's, nor elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for home in ("", "relative", "~"):
        monkeypatch.setattr(os.path, "expanduser", lambda path, home=home: path if home == "~" else home)
        assert cache_folder() is None
        cache.store("tables", "stamp", [1])
        assert cache.load("tables", "stamp") is None
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name, appauthor: "relative")
    assert cache_folder() is None
    assert os.listdir(tmp_path) == []


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the cache that is believed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mask = os.umask(0)
    try:
        cache.store("tables", "stamp", ["kept"])
    finally:
        os.umask(mask)
    assert cache.load("tables", "stamp") == ["kept"]
    (file,) = (tmp_path / "tilewright").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    return file


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HARMS: dict[str, Callable[[Path], None]] = {
    "a file that the group may write": lambda file: file.chmod(0o620),
    "a file that others may write": lambda file: file.chmod(0o602),
    "a link": linked,
    "a FIFO": fifo,
    "a folder that the group may write": lambda file: file.parent.chmod(0o770),
    "a folder that others may write": lambda file: file.parent.chmod(0o1777),
    "a link to a folder": lambda file: linked(file.parent),
}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rules")
@pytest.mark.parametrize("harm", HARMS)
def test_what_others_can_have_written_is_no_cache(harm: str, stored: Path) -> None:
    HARMS[harm](stored)
    assert cache.load("tables", "stamp") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rules")
@pytest.mark.parametrize("whose", ["folder", "file"])
def test_what_belongs_to_another_is_no_cache(whose: str, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to root, which `sudo` leaves behind: who may write there is not asked further."""
    theirs = os.stat(stored.parent if whose == "folder" else stored).st_ino
    fstat = os.fstat

    def changed(handle: int) -> object:
        found = fstat(handle)
        uid = found.st_uid + 1 if found.st_ino == theirs else found.st_uid
        return SimpleNamespace(st_mode=found.st_mode, st_uid=uid, st_size=found.st_size, st_blksize=found.st_blksize)

    monkeypatch.setattr(os, "fstat", changed)
    assert cache.load("tables", "stamp") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rules")
@pytest.mark.parametrize("harm", [harm for harm in HARMS if "folder" in harm])
def test_nothing_is_stored_in_a_folder_of_others(harm: str, stored: Path) -> None:
    HARMS[harm](stored)
    cache.store("shapes", "stamp", ["new"])
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_command_without_a_home_writes_nothing_where_it_stands(tmp_path: Path) -> None:
    source = tmp_path / "in.mir"
    source.write_text(REFERENCE, encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")} | {"HOME": "."}
    opt = Path(sys.executable).with_name("opt")
    done = subprocess.run([opt, source], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, tilewright.run_passes(REFERENCE, ""), "")
    assert os.listdir(tmp_path) == ["in.mir"]


# --- what a file can say ---


def test_the_files_are_json(stored: Path) -> None:
    data = stored.read_bytes()
    assert zlib.crc32(data[4:]) == int.from_bytes(data[:4], "little")
    assert json.loads(data[4:])[1] == ["kept"]


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1,", b'["a', b"[]", b"1", b'["a","b"]x', b'["a"]', b"\xff", b"[" * 100_000]
)
def test_what_is_no_json_is_nothing(body: bytes, stored: Path) -> None:
    stored.write_bytes(zlib.crc32(body).to_bytes(4, "little") + body)
    assert cache.load("tables", "stamp") is None


class Told:
    """Actions that say what they were given."""

    def leaf(self, *parts: object) -> None:
        self.given = parts

    def kind(self, parts: list[object]) -> object:
        return ["kind", *map(str, parts)]


def made_by(construction: object) -> tuple[object, ...]:
    told = Told()
    match = re.match("(a) (b)", "a b")
    assert match is not None
    function_of(construction, 2, told, Memos(told, 10, "unit", lambda text, start: None))(match, 7)
    return told.given


def test_a_construction_calls_actions_on_parts() -> None:
    parts = ["text", 1, ["place", 2], ["place", 0], ["list", 1], ["tuple", 1], ["tuple"], ["dict", "k", 2], ["unit"]]
    assert made_by(["call", "leaf", *parts]) == ("text", "a", 2, 7, ["a"], ("a",), (), {"k": "b"}, "unit")
    told = Told()
    told.errors = []  # type: ignore[attr-defined]
    memos = Memos(told, 10, "unit", lambda text, start: None)
    match = re.match("(a) (b)", "a b")
    assert match is not None
    function_of(["call", "leaf", ["read", "kind", 2], ["token", 1, 2]], 2, told, memos)(match, 0)
    reading, token = told.given
    assert reading == ["kind", "b"]
    assert (token, token.start_pos) == ("a", 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "construction",
    [
        *([], {}, None, 1.5, 0, 3, -1, ["call"], ["call", "__class__"], ["call", "_leaf"], ["call", "leaf(x)"]),
        *(["call", 1], ["read", "kind"], ["read", "x]", 1], ["read", "_x", 1], ["token", 1, 9], ["place", "at"]),
        *(["dict", "k"], ["exec", "1"], ["list", ["list", ["nothing"]]], ["unit", 1]),
    ],
    ids=str,
)
def test_what_is_no_construction_is_not_run(construction: object) -> None:
    with pytest.raises(NotRead):
        made_by(["call", "leaf", construction])


def test_texts_of_a_construction_are_texts() -> None:
    nasty = "\"'); import os #\n\\"
    assert made_by(["call", "leaf", nasty, ["dict", nasty, nasty]]) == (nasty, {nasty: nasty})


def test_code_of_a_regular_expression_is_checked() -> None:
    """What leads out of the code, or is no code, is compiled anew from the text."""
    whole = pack(re.compile("(?P<x>a+)b"))
    if len(whole) == 2:
        pytest.skip("this Python doesn't show it")
    words = zlib.decompress(bytes.fromhex(whole[2]))
    for at in range(0, len(words), 4):
        for word in (0xFFFFFFFF, 0x7FFFFFFF, 1000):
            code = words[:at] + word.to_bytes(4, sys.byteorder) + words[at + 4 :]
            found = unpack([*whole[:2], zlib.compress(code).hex(), *whole[3:]])
            found.match("aab" * 10)
    for code in ("", "zz", "00", zlib.compress(b"123").hex()):
        found = unpack([*whole[:2], code, *whole[3:]]).match("aab")
        assert found is not None
        assert found["x"] == "aa"
