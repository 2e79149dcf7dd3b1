"""Images whose readers are other people's code on other people's bytes: read by a process apart, under a time limit.

A damaged CBF or HDF5 file can crash such a reader, or send it into a loop without end; here that ends the process
apart, and its reader is told in one line. The process stays for the next image.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import struct
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.own_python import running

SECONDS = 60.0  # that a reader may take for an image
HDF5 = b"\x89HDF\r\n\x1a\n"
PATHS = ("entry/data/data", "entry/instrument/detector/data", "data")
LENGTH = struct.Struct("<q")


class _Process:
    """The process apart, one request at a time."""

    def __init__(self) -> None:
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        package = os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["nanobragg"].__file__ or root)))
        path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._child = subprocess.Popen(
            running("nanobragg.engine.formats.apart"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip

    def ask(self, path: str, part: str, seconds: float) -> np.ndarray:
        """The image, or `BadInput` with what the reader said, or that it died or took too long."""
        answers: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._converse, args=(path, part, answers), daemon=True).start()
        try:
            found = answers.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise BadInput(f"{path}: cannot be read: its reader has not come to an end after {seconds:g} s") from None
        if isinstance(found, np.ndarray):
            return found
        if found is None:
            self.end()
            raise BadInput(f"{path}: cannot be read: it is damaged, its reader died of it")
        raise BadInput(found)

    def _converse(self, path: str, part: str, answers: queue.Queue[Any]) -> None:
        try:
            assert self._child.stdin is not None and self._child.stdout is not None
            self._child.stdin.write(json.dumps([path, part]).encode() + b"\n")
            self._child.stdin.flush()
            head = json.loads(self._child.stdout.readline())
            if "error" in head:
                answers.put(str(head["error"]))
                return
            data = self._child.stdout.read(LENGTH.unpack(self._child.stdout.read(LENGTH.size))[0])
            answers.put(np.frombuffer(bytearray(data), head["dtype"]).reshape(head["shape"]))
        except Exception:  # whatever a process that dies leaves of its answer
            answers.put(None)

    def end(self) -> None:
        """Kill it."""
        with contextlib.suppress(OSError):
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    @property
    def is_there(self) -> bool:
        """Whether it can be asked."""
        return self._child.poll() is None


_lock = threading.Lock()
_processes: list[_Process] = []


@atexit.register
def _end() -> None:
    for process in _processes:
        process.end()


def read_apart(path: str, part: str, seconds: float | None = None) -> np.ndarray:
    """An image of a CBF or HDF5 file, as it is in the file; ``part`` is a frame's number or a data set of HDF5.

    Raises
    ------
    BadInput
        Status 2, if it cannot be read as an image.
    """
    with _lock:
        if not _processes or not _processes[0].is_there:
            _processes[:] = [_Process()]
        return _processes[0].ask(os.path.abspath(path), part, SECONDS if seconds is None else seconds)


def _of_cbf(path: str) -> np.ndarray:
    try:
        import fabio
    except ImportError:
        raise BadInput(f"{path}: reading CBF needs fabio: pip install fabio") from None
    return np.asarray(fabio.open(path).data)


def _of_hdf5(path: str, part: str) -> np.ndarray:
    try:
        import h5py
        import hdf5plugin  # noqa: F401 (its filters are found by being imported)
    except ImportError as error:
        raise BadInput(f"{path}: reading HDF5 needs {error.name}: pip install h5py hdf5plugin") from None
    with h5py.File(path) as file:
        data = file.get(part) if part and not part.isdigit() else next((file[p] for p in PATHS if p in file), None)
        if not isinstance(data, h5py.Dataset):
            raise BadInput(f"{path}: no image at {part or ' or '.join(PATHS)}")
        if data.ndim != 3:
            return data[()]
        if not part.isdigit() and len(data) > 1:
            raise BadInput(f"{path}: has {len(data)} frames: {path}:N is one of them, from 0 on")
        frame = int(part) if part.isdigit() else 0
        if frame >= len(data):
            raise BadInput(f"{path}: has {len(data)} frames, from 0 on; frame {frame} is not among them")
        return data[frame]


def _answer(path: str, part: str) -> tuple[dict[str, Any], bytes]:
    try:
        with open(path, "rb") as file:
            is_hdf5 = file.read(len(HDF5)) == HDF5
        array = np.ascontiguousarray(_of_hdf5(path, part) if is_hdf5 else _of_cbf(path))
        if array.dtype.kind not in "iufb":
            return {"error": f"{path}: not an image: {array.dtype}"}, b""
        return {"dtype": array.dtype.str, "shape": array.shape}, array.tobytes()
    except BadInput as error:
        return {"error": str(error)}, b""
    except OSError as error:
        said = reason(error) if error.strerror else " ".join(str(error).split())[:150]
        return {"error": f"{path}: cannot be read: {said}"}, b""
    except MemoryError:
        return {"error": f"{path}: cannot be read: not enough memory for what it says it holds"}, b""
    except Exception as error:  # whatever a reader makes of damaged bytes
        return {"error": f"{path}: cannot be read: {type(error).__name__}: {' '.join(str(error).split())[:150]}"}, b""


def main() -> None:
    """The process apart: answers until nobody asks any more."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # readers that print do not disturb the answers
    for line in sys.stdin:
        head, data = _answer(*json.loads(line))
        out.write(json.dumps(head).encode() + b"\n")
        if "error" not in head:
            out.write(LENGTH.pack(len(data)) + data)
        out.flush()


if __name__ == "__main__":
    main()
