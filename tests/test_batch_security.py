"""Nobody but us talks to the workers of a batch: as another user, without our certificates, or by a browser."""

import os
import socket
import ssl
import stat
import subprocess
import sys

import psutil
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.engine.batch.run import dask_nodes, on_dask
from nanobragg.engine.batch.store.folder import CLUSTER
from nanobragg.engine.errors import BadInput
from nanobragg.kernels.whole import PRIVATE, appearing
from tests.batch_support import write_job

# Whoever runs this tries to run code on the workers: without encryption, with certificates of his own, by a browser.
STRANGER = """
import os, sys
from distributed import Client, Security
port, own = sys.argv[1], Security.temporary()
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for scheme, security in (("tcp", None), ("tls", own)):
    try:
        with Client(f"{scheme}://127.0.0.1:{port}", security=security, timeout=5) as client:
            print("in", scheme, client.run_on_scheduler(os.getpid))
    except (OSError, TimeoutError, ValueError) as error:
        print("refused", scheme, type(error).__name__)
"""


def listening(process):
    """Ports on which a process and its children listen."""
    family = [process, *process.children(recursive=True)]
    return {c.laddr for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def test_another_user_is_refused(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # dask leaves them at 1
        monkeypatch.setenv(name, "1")
    before = listening(psutil.Process())
    client = on_dask.local_client(2)
    try:
        ports = listening(psutil.Process()) - before
        assert len(ports) >= 3 and {address.ip for address in ports} == {"127.0.0.1"}
        port = client.scheduler_info()["address"].rpartition(":")[2]
        found = subprocess.run(
            [sys.executable, "-c", STRANGER, port], capture_output=True, text=True, timeout=60, cwd="/"
        )
        assert found.stdout.count("refused") == 2 and "in " not in found.stdout, found.stdout + found.stderr
        for address in ports:
            assert not answers_in_plain(address) and not answers_a_browser(address), address
        assert client.submit(os.getpid).result() in {p.pid for p in psutil.Process().children(recursive=True)}
    finally:
        client.close()
        client.cluster.close()


def answers_in_plain(address):
    """Whether a port says anything to who speaks without encryption."""
    with socket.create_connection(address, timeout=5) as stranger:
        stranger.settimeout(2)
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            return b"HTTP" in stranger.recv(100)
        except (TimeoutError, ConnectionError):
            return False


def answers_a_browser(address):
    """Whether a port goes on with who has no certificate."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(address, timeout=5) as stranger, anyone.wrap_socket(stranger) as wrapped:
            wrapped.settimeout(2)
            wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(wrapped.recv(100))
    except (OSError, ssl.SSLError):
        return False


def test_certificates_are_for_their_user_alone(tmp_path):
    folder = dask_nodes.own_folder(str(tmp_path / "out"))
    with appearing(os.path.join(folder, "key-0"), mode=PRIVATE) as file:
        file.write(b"secret")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700 and folder.endswith(CLUSTER)
    assert stat.S_IMODE(os.stat(os.path.join(folder, "key-0")).st_mode) == 0o600
    os.chmod(folder, 0o755)
    with pytest.raises(BadInput, match="not trusted"):
        dask_nodes.own_folder(str(tmp_path / "out"))


def test_a_scheduler_file_in_a_folder_of_others_is_not_trusted(tmp_path, capsys):
    job, shared = write_job(tmp_path, images=2), tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "scheduler.json").write_text('{"address": "tcp://127.0.0.1:1"}')
    assert main(["run", str(job), "--scheduler", str(shared / "scheduler.json")]) == 1
    assert "not trusted" in capsys.readouterr().err
