"""Our binaries as processes of their own, without the start of TensorFlow in each.

A server imports what all of them import, once, and forks for each: a process
with arguments, streams, signals and an exit code as any other, after 0.1 s instead of
7 s of a core. Nothing of ours has run in it before the binary does.
"""

import atexit
import contextlib
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = Path(__file__).with_name("binary_server.py")


class Process:
    """A binary or a script that was started, used as `subprocess.Popen` is."""

    def __init__(self, what, arguments, cwd=None, env=None):
        # They are closed with this object.
        self._streams = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
        self._ended, its_end = os.pipe()
        request = {
            **what,
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        files = [*(stream.fileno() for stream in self._streams), its_end]
        channel = _server()
        socket.send_fds(channel, [json.dumps(request).encode()], files)
        os.close(its_end)
        self.pid = int(channel.recv(32))
        self.returncode = None

    def poll(self):
        """The exit code, minus the signal's number where one ended it; or None."""
        return self._wait(0)

    def wait(self, timeout=None):
        """The exit code, once it has ended."""
        if self._wait(timeout) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """What it wrote to its two streams, once it has ended."""
        self.wait(timeout)
        for stream in self._streams:
            stream.seek(0)
        return tuple(stream.read() for stream in self._streams)

    def send_signal(self, number):
        """Sends the signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout):
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ended, selectors.EVENT_READ)
                if selector.select(timeout):
                    self.returncode = int(os.read(self._ended, 32))
                    os.close(self._ended)
        return self.returncode


def start(binary, *arguments, cwd=None, env=None):
    """`python -m transfusion_tf_experiments.<binary> <arguments>`, not waited for."""
    what = {"module": f"transfusion_tf_experiments.{binary}"}
    return Process(what, arguments, cwd, env)


def run(binary, *arguments, cwd=None, env=None):
    """The same, waited for."""
    process = start(binary, *arguments, cwd=cwd, env=env)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(
        [binary, *arguments], process.returncode, stdout, stderr
    )


def start_script(script, *arguments, cwd=None, env=None):
    """`python -c <script> <arguments>`, not waited for."""
    return Process({"script": script}, arguments, cwd, env)


def run_script(script, *arguments, cwd=None, env=None):
    """The same, waited for; an exit code other than 0 fails the test."""
    process = start_script(script, *arguments, cwd=cwd, env=env)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr[-2000:]
    return stdout


@functools.cache
def _server():
    """The socket of this process's server; both end together."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, SERVER, str(its.fileno())],
        pass_fds=[its.fileno()],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    its.close()

    def end():
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
