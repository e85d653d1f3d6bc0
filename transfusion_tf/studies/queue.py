"""Trains what a plan lists, through an engine, beside others that do the same."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from transfusion_tf.studies.engines.engine import Engine, Outcome
from transfusion_tf.studies.progress import StudyProgress
from transfusion_tf.studies.schedule import PlannedRun, schedule
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.termination import Termination, holding_back_signals

# Between two looks at a run that another process trains.
_POLL_SECONDS = 3.0
_TICK_SECONDS = 0.5


def train_all(
    plan: Sequence[PlannedRun],
    configs: Mapping[str, RunConfig],
    runs: Path,
    engine: Engine,
    progress: StudyProgress,
    *,
    wait: bool,
    on_finished: Callable[[], None] = lambda: None,
) -> dict[str, Outcome]:
    """Trains all that is not finished; a failure stops only what stands on it.

    A run that another process trains is passed over. In the end it is waited for, if
    it is a donor that another run of the plan stands on; else as `wait` says.

    Args:
      plan: what stands on what, in the order in which runs are to be trained.
      configs: resolved, by run id.
      runs: the folder of the runs' folders.
      engine: trains them.
      progress: shows how far they are.
      wait: whether to wait for other runs that others hold.
      on_finished: called whenever a run is finished, before others are started.

    Returns:
      Run id -> outcome of those that failed.

    Raises:
      Terminated, KeyboardInterrupt: asked to end; all runs' states are saved.
    """
    queue = _Queue(plan, configs, runs, engine, progress, wait=wait)
    # Else the training in this process holds them back, for as long as it needs.
    held_back: contextlib.AbstractContextManager[Termination] = (
        contextlib.nullcontext(Termination())
        if engine.in_this_process
        else holding_back_signals()
    )
    with held_back as termination:
        while queue.start():
            for outcome in queue.outcomes():
                queue.note(outcome)
                if outcome.state == "finished":
                    on_finished()
            progress.tick()
            if termination.requested:
                queue.stop()
                termination.check()
    return queue.failed


class _Queue:
    """What is known of the plan's runs.

    Attributes:
      failed: run id -> what became of it.
    """

    def __init__(
        self,
        plan: Sequence[PlannedRun],
        configs: Mapping[str, RunConfig],
        runs: Path,
        engine: Engine,
        progress: StudyProgress,
        *,
        wait: bool,
    ):
        self.failed: dict[str, Outcome] = {}
        self._plan = plan
        self._configs = configs
        self._runs = runs
        self._engine = engine
        self._progress = progress
        self._wait = wait
        self._done = {run.run_id for run in plan if self._directory(run).finished()}
        self._running: set[str] = set()
        self._held: dict[str, Outcome] = {}
        self._next_look: dict[str, float] = {}
        # When each is said to have ended before it was tried here.
        self._ended: dict[str, object] = {}
        # Those whose process was killed once. A second chance, not a third: memory
        # may be what it was killed for.
        self._lost: set[str] = set()
        self._said: set[str] = set()

    def start(self) -> bool:
        """Hands runs to the engine that may start; whether to wait for anything."""
        self._look_at_held()
        now = schedule(
            self._plan,
            done=self._done,
            failed=self.failed,
            busy={*self._running, *self._held},
        )
        for run_id, culprit in now.blocked.items():
            message = f"its donor {culprit} failed: {self.failed[culprit].message}"
            self.note(Outcome(run_id, "failed", message))
        ready = now.ready or tuple(self._due())
        for run_id in ready[: self._engine.slots - len(self._running)]:
            self._held.pop(run_id, None)
            self._ended[run_id] = self._status(run_id).get("ended")
            self._running.add(run_id)
            self._engine.submit(self._configs[run_id])
        awaited = tuple(self._awaited())
        for run_id in () if self._running else awaited:
            who = self._held[run_id].message
            self._say_once(f"waiting: run {run_id} is being trained by {who}")
        return bool(self._running or awaited)

    def outcomes(self) -> list[Outcome]:
        """What became of runs in the next moment."""
        if self._running:
            return self._engine.wait(_TICK_SECONDS)
        time.sleep(_TICK_SECONDS)
        return []

    def note(self, outcome: Outcome) -> None:
        """Takes down what became of a run."""
        run_id = outcome.run_id
        self._running.discard(run_id)
        if outcome.state == "finished":
            self._done.add(run_id)
        elif outcome.state == "held":
            self._hold(outcome)
        elif outcome.state != "failed" and run_id not in self._lost:
            self._lost.add(run_id)
            self._progress.write(
                f"{run_id}: {outcome.message}; it goes on from its saved state"
            )
        else:
            self.failed[run_id] = outcome
            self._progress.write(f"{run_id} failed: {outcome.message}")
            if outcome.traceback:
                self._progress.write(outcome.traceback)
        failed = run_id in self.failed
        self._progress.end(run_id, "failed" if failed else outcome.state)

    def stop(self) -> None:
        """Ends what is under way."""
        if self._running:
            self._progress.write("stopping: the runs under way save their state")
        self._engine.stop()

    def _hold(self, outcome: Outcome) -> None:
        run_id = outcome.run_id
        self._held[run_id] = outcome
        self._next_look[run_id] = time.monotonic() + _POLL_SECONDS
        self._say_once(f"{run_id} is held by {outcome.message}; going on with others")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._progress.write(text)

    def _look_at_held(self) -> None:
        """Others may have brought to an end what they held."""
        for run_id in list(self._held):
            if time.monotonic() < self._next_look[run_id]:
                continue
            status = self._status(run_id)
            failed = status["state"] == "failed"
            if status["state"] == "finished":
                outcome = Outcome(run_id, "finished")
            elif failed and status.get("ended") != self._ended[run_id]:
                outcome = Outcome(
                    run_id, "failed", f"it failed elsewhere: {status['message']}"
                )
            else:
                continue
            del self._held[run_id]
            self.note(outcome)

    def _awaited(self) -> Iterator[str]:
        """Held runs without which this process cannot end."""
        needed = {
            run.donor
            for run in self._plan
            if run.run_id not in self._done and run.run_id not in self.failed
        }
        return (run_id for run_id in self._held if self._wait or run_id in needed)

    def _due(self) -> Iterator[str]:
        """Held runs to be tried again, as the process that held them may be gone."""
        now = time.monotonic()
        return (run_id for run_id in self._awaited() if self._next_look[run_id] <= now)

    def _status(self, run_id: str) -> dict:
        return RunDirectory(self._runs / run_id).status()

    def _directory(self, run: PlannedRun) -> RunDirectory:
        return RunDirectory(self._runs / run.run_id)
