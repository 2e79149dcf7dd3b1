"""Where compiled kernels are kept, and who makes them: one process at a time, in a folder nobody else writes to.

`VARIABLE` names a folder that is looked into first, prepared by ``nb-compile``: for containers, read-only homes and the
nodes of a cluster. Then come NUMBA_CACHE_DIR, the user's cache and the temporary folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator

from platformdirs import user_cache_dir

from nanobragg.kernels.compiling.notice import COMPILING, compiling
from nanobragg.kernels.compiling.processor import processor
from nanobragg.kernels.whole import appearing

VARIABLE = "NANOBRAGG_KERNELS"
KERNELS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
NAMED = os.path.abspath(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else ""  # before anybody changes the folder
unkept: list[str] = []  # what could be kept nowhere
_missed: list[str] = []  # kernels that were looked for and are in no folder


def sources_digest(folder: str = KERNELS) -> str:
    """Identifies the code of all kernels, and what compiles it."""
    paths = sorted(
        os.path.join(room, name) for room, _, names in os.walk(folder) for name in names if name.endswith(".py")
    )
    for package in ("numba", "llvmlite"):  # their versions, without importing them
        spec = importlib.util.find_spec(package)
        paths += [os.path.join(place, "_version.py") for place in spec.submodule_search_locations or ()] if spec else []
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _own_folder(path: str) -> bool:
    """Make a folder that nobody else can write to; False where that cannot be had."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(path, os.W_OK)


def _roots() -> Iterator[str]:
    """Folders of this user that something may be kept in: NUMBA_CACHE_DIR, the cache, the temporary folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    roots = [os.path.join(named, "nanobragg")] if named else []
    roots.append(user_cache_dir("nanobragg"))
    with contextlib.suppress(OSError):  # a full disk
        roots.append(os.path.join(tempfile.gettempdir(), f"nanobragg-{os.getuid()}"))
    return (root for root in roots if os.path.isabs(root) and _own_folder(root))


def cache_root() -> str:
    """The first of the folders that this user's things can be kept in; empty where there is none."""
    return next(_roots(), "")


def cache_folder() -> str:
    """Where this user's kernels are kept, or empty for nowhere."""
    digest = sources_digest()
    return next((os.path.join(root, digest) for root in _roots() if _own_folder(os.path.join(root, digest))), "")


@functools.lru_cache(maxsize=1)
def folder() -> str:
    """`cache_folder`, looked for once."""
    return cache_folder()


@functools.lru_cache(maxsize=1)
def _places() -> list[str]:
    """The folders that kernels are looked for in: the named one, if there is one, whose owner vouches for it; ours."""
    places = [os.path.join(NAMED, sources_digest()) if NAMED else "", folder()]
    return [place for place in places if place]


def folders() -> tuple[str, ...]:
    """The folders that kernels are looked for in, the named one first."""
    return tuple(_places())


def keep_only_in(named: str) -> None:
    """Look for kernels, and keep them, in a folder and nowhere else, so that it holds all that are asked for."""
    _places()[:] = [os.path.join(os.path.abspath(named), sources_digest())]


def _make(place: str) -> None:
    """Make a folder in one that is there: a name that was misspelt makes none."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(place)


def in_words() -> str:
    """What is said before a kernel is compiled, or what traces call, which is in no named folder."""
    if not (NAMED and _missed):
        return COMPILING
    return f"{COMPILING}; {VARIABLE}={NAMED} has none for {processor().name} and this version"


def read(name: str) -> bytes | None:
    """What was kept under a name, if it is there and whole."""
    for place in folders():
        try:
            with open(os.path.join(place, name), "rb") as file:
                check, _, rest = file.read().partition(b"\n")
        except OSError:
            continue
        if rest and hashlib.sha256(rest).hexdigest().encode() == check:
            return rest
    _missed.append(name)
    return None


def keep(name: str, data: bytes) -> None:
    """Keep something, whole or not at all, in the first folder where that can be done; else it is made again."""
    for place in folders():
        with contextlib.suppress(OSError):
            _make(place)
            with appearing(os.path.join(place, name)) as file:
                file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            return
    unkept.append(name)


def writable() -> str:
    """The first of the folders that something can be kept in, or empty."""
    for place in folders():
        with contextlib.suppress(OSError):
            _make(place)
            if os.access(place, os.W_OK):
                return place
    return ""


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """While no other process makes what is kept under a name: the second one finds what the first has made.

    Where files cannot be locked both make it, as they do where nothing can be kept.
    """
    with contextlib.ExitStack() as stack:
        for place in folders():
            with contextlib.suppress(OSError):
                _make(place)
                file = stack.enter_context(open(os.path.join(place, f".{name}.lock"), "ab"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    compiling()  # it takes as long, whoever does it
                    fcntl.flock(file, fcntl.LOCK_EX)
                break
        yield
