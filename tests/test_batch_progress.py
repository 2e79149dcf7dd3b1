"""What people see of a batch: a bar on a terminal, plain lines in a log, and the state of a folder."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from nanobragg.cli.batch.command import main
from nanobragg.engine.batch.run.progress import Progress, clock_time
from tests.batch_support import command, environment, wait_until, write_job


def test_plain_lines_in_a_log(capsys):
    progress = Progress(100, 20, 0, "nb-batch", every=0.05)
    progress.seen(10)
    progress.failed(5)
    told = []

    def is_told_twice():
        told.append(capsys.readouterr().err)
        return "".join(told).count("\n") >= 2

    wait_until(is_told_twice)
    progress.end()
    told.append(capsys.readouterr().err)
    lines = "".join(told).splitlines()
    said = re.fullmatch(r"nb-batch: 30 of 100 images, ([\d.e+]+) per s, (\S+) left, 5 failed", lines[0])
    assert said and len(lines) > 2, lines
    minutes, seconds = said.group(2).split(":")
    assert int(minutes) * 60 + int(seconds) <= 65 / float(said.group(1)) + 1
    assert lines[-1].startswith("nb-batch: 30 of 100 images, 10 of them in 0:00")
    wait_until(lambda: not any("_say_regularly" in thread.name for thread in threading.enumerate()))
    assert not capsys.readouterr().err, "nothing is said after the end"


def test_durations():
    assert [clock_time(s) for s in (0, 59.6, 3599, 3600, 36061)] == ["0:00", "1:00", "59:59", "1:00:00", "10:01:01"]


def test_a_bar_on_a_terminal(tmp_path):
    job, slow = write_job(tmp_path, images=8, images_per_shard=2), environment(tmp_path, SLOW_S=0.1)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(command("run", job, "--no-sheet"), env=slow, stderr=theirs, stdout=subprocess.PIPE) as run:
        os.close(theirs)
        said = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            said += block
    os.close(ours)
    assert run.returncode == 0 and b"8/8" in said and b"image/s" in said


def test_status_while_at_work_and_after(tmp_path, capsys):
    job, slow = write_job(tmp_path, images=8, images_per_shard=4), environment(tmp_path, SLOW_S=0.2)
    with subprocess.Popen(command("run", job, "--no-sheet"), env=slow, stderr=subprocess.DEVNULL) as run:
        out = tmp_path / "out"
        wait_until(lambda: list(out.glob("shard-000000.json")) and list(out.glob("*1@*.claim")))
        assert main(["status", str(tmp_path / "out"), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["shards_done"] == 1 and found["images_done"] == 4 and found["shards_at_work"] == [1]
        assert found["claims"][0]["pid"] == run.pid and found["backends"] == {"strict": 1}
    assert main(["status", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "8 of 8 images, 2 of 2 shards" in said and "2 by strict" in said and "at work" not in said
