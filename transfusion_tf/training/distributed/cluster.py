"""Which processes train one run together, and how they find each other."""

import contextlib
import dataclasses
import json
import os
import socket
import time
from collections.abc import Container, Mapping
from typing import Any

from transfusion_tf.errors import UserError

# Data are prepared after the start, so this covers queues and imports only.
START_SECONDS = 300.0
_RETRY_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_LONGEST_LINE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of one training, and which of them this process is.

    Attributes:
      workers: `host:port` of each, the same list in the same order everywhere. The
        first is the chief: it alone writes the run.
      worker: this process's place in the list, from 0.
      start_seconds: how long the workers wait for each other at the start.

    Raises:
      UserError: an address that is none, or that is there twice; no such place.
    """

    workers: tuple[str, ...]
    worker: int
    start_seconds: float = START_SECONDS

    def __post_init__(self) -> None:
        for address in self.workers:
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise UserError(
                    f"worker {address!r} should be host:port, such as node1:2222"
                )
        if len(set(self.workers)) < len(self.workers):
            raise UserError(f"a worker is listed twice in {','.join(self.workers)}")
        if not 0 <= self.worker < len(self.workers):
            raise UserError(
                f"--worker={self.worker} should be from 0 to {len(self.workers) - 1}: "
                f"there are {len(self.workers)} workers"
            )

    @classmethod
    def from_environment(
        cls, start_seconds: float = START_SECONDS, environment: Mapping = os.environ
    ) -> "Cluster | None":
        """The cluster that `TF_CONFIG` describes; None where it describes none.

        Raises:
          UserError: `TF_CONFIG` cannot be understood, or has jobs other than chief
            and worker.
        """
        text = environment.get("TF_CONFIG", "").strip()
        if not text:
            return None
        try:
            values = json.loads(text)
            jobs = dict(values.get("cluster", {}))
            chiefs, others = list(jobs.pop("chief", ())), list(jobs.pop("worker", ()))
            if not chiefs and not others and not jobs:
                return None
            task, index = values["task"]["type"], int(values["task"]["index"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                'TF_CONFIG should be JSON such as {"cluster": {"worker": '
                '["node1:2222", "node2:2222"]}, "task": {"type": "worker", '
                f'"index": 0}}}}, got {text!r} ({error!r})'
            ) from None
        if jobs or task not in ("chief", "worker"):
            raise UserError(
                "TF_CONFIG may have a chief and workers only, got "
                f"{', '.join([*jobs, task])}"
            )
        place = index if task == "chief" else len(chiefs) + index
        return cls((*chiefs, *others), place, start_seconds)

    def name(self, worker: int) -> str:
        """A worker in words, such as `worker 1 (node2:2222)`."""
        return f"worker {worker} ({self.workers[worker]})"

    def silent(self) -> list[int]:
        """The other workers whose port does not answer."""
        found = []
        for worker, address in enumerate(self.workers):
            if worker == self.worker:
                continue
            try:
                socket.create_connection(_address(address), _ANSWER_SECONDS).close()
            except OSError:
                found.append(worker)
        return found

    def meet(self, facts: Mapping[str, Any]) -> None:
        """Waits until every worker is there.

        On the ports that TensorFlow takes over next: it would wait for ever for a
        worker that never comes, deaf to signals, and crash on a port that is taken.

        Args:
          facts: what must be the same on all workers, such as versions; plain JSON.

        Raises:
          UserError: our port is taken; a worker does not come in time, cannot be
            reached, or has another list of workers or other facts.
        """
        facts = {"workers": ",".join(self.workers), **facts}
        end = time.monotonic() + self.start_seconds
        with self._listen() as listener:
            if self.worker == 0:
                self._welcome(listener, facts, end)
            else:
                self._report(facts, end)

    def _listen(self) -> socket.socket:
        port = _address(self.workers[self.worker])[1]
        try:
            return socket.create_server(("", port), backlog=len(self.workers) + 8)
        except OSError as error:
            raise UserError(
                f"{self.name(self.worker)} cannot use its port {port}: "
                f"{error.strerror}; choose a free one, the same in every worker's list"
            ) from None

    def _welcome(
        self, listener: socket.socket, facts: Mapping[str, Any], end: float
    ) -> None:
        """The chief's side: lets all go at once, or none."""
        present: dict[int, socket.socket] = {}
        told: list[socket.socket] = []
        trouble = ""
        with contextlib.ExitStack() as stack:
            while not trouble and len(present) < len(self.workers) - 1:
                listener.settimeout(max(end - time.monotonic(), 0.001))
                try:
                    connection = stack.enter_context(listener.accept()[0])
                except TimeoutError:
                    trouble = self._missing(present)
                    break
                place, theirs = _introduction(connection)
                if not 0 < place < len(self.workers):
                    continue  # Somebody else's.
                # One that ended while it waited may have been started again.
                present = {p: c for p, c in present.items() if _is_open(c)}
                if place in present:
                    trouble = f"there are two processes with --worker={place}"
                else:
                    trouble = self._difference(place, theirs, facts)
                present[place] = connection
                told.append(connection)
            trouble = trouble or self._unreachable()
            for connection in told:
                _send(connection, {"trouble": trouble})
        if trouble:
            raise UserError(trouble)

    def _missing(self, present: Container[int]) -> str:
        others = range(1, len(self.workers))
        missing = [self.name(worker) for worker in others if worker not in present]
        return (
            f"{' and '.join(missing)} did not come within {self.start_seconds:g} s; "
            "start every worker, or give them more time with --start_timeout"
        )

    def _difference(
        self, place: int, theirs: Mapping[str, Any], ours: Mapping[str, Any]
    ) -> str:
        for what, value in ours.items():
            if theirs.get(what) != value:
                return (
                    f"{self.name(place)} differs from the chief in {what}: "
                    f"{theirs.get(what)} instead of {value}; give all the same list of "
                    "workers, versions and number of GPUs"
                )
        return ""

    def _unreachable(self) -> str:
        silent = [self.name(worker) for worker in self.silent()]
        if not silent:
            return ""
        return (
            f"the chief cannot reach {' and '.join(silent)}, which reached the chief: "
            "is the address right, and the port open between the hosts?"
        )

    def _report(self, facts: Mapping[str, Any], end: float) -> None:
        """Another worker's side: says who it is and waits for the chief's word."""
        while True:
            reply = None
            with contextlib.suppress(OSError):
                chief = _address(self.workers[0])
                with socket.create_connection(chief, _ANSWER_SECONDS) as connection:
                    _send(connection, {"worker": self.worker, "facts": dict(facts)})
                    # The chief speaks when the last one is there, or its time is up.
                    reply = _receive(connection, self.start_seconds + _ANSWER_SECONDS)
            if reply is not None and "trouble" in reply:
                if reply["trouble"]:
                    raise UserError(reply["trouble"])
                return
            if time.monotonic() > end:
                raise UserError(
                    f"{self.name(0)}, the chief, did not answer within "
                    f"{self.start_seconds:g} s; start it too, or give it more time "
                    "with --start_timeout"
                )
            time.sleep(_RETRY_SECONDS)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _introduction(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """A worker's place and facts; -1 and none of somebody who is no worker."""
    hello = _receive(connection, _ANSWER_SECONDS) or {}
    place, facts = hello.get("worker"), hello.get("facts")
    if not isinstance(place, int) or not isinstance(facts, dict):
        return -1, {}
    return place, facts


def _send(connection: socket.socket, value: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(value).encode() + b"\n")


def _receive(connection: socket.socket, timeout: float) -> dict[str, Any] | None:
    """One line of JSON; None where nothing sensible comes."""
    connection.settimeout(timeout)
    try:
        with connection.makefile("rb") as stream:
            value = json.loads(stream.readline(_LONGEST_LINE))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _is_open(connection: socket.socket) -> bool:
    """Whether the process at the other end is still there."""
    connection.settimeout(0.0)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
