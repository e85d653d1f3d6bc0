"""How far a study has come: a bar and a line per run, or plain lines in a log."""

import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Self

from tqdm import tqdm

from transfusion_tf.studies.engines.engine import Began, Event, Said
from transfusion_tf.training import RunConfig

_PLAIN_SECONDS = 60.0
_TICK_SECONDS = 1.0
_STUDY_BAR = (
    "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps "
    "[{elapsed}, {remaining} left]"
)
_RUN_BAR = "  {desc} {bar:20} {n_fmt}/{total_fmt}{postfix}"


class StudyProgress:
    """What is shown of the runs of a study while they are trained.

    In a terminal, a bar for the study and below it a line for each run under way;
    elsewhere, a line of text a minute.
    """

    def __init__(
        self,
        label: str,
        configs: Mapping[str, RunConfig],
        *,
        donors: Collection[str] = (),
        finished: int = 0,
        shown: bool = True,
        on_step: Callable[[int], None] = lambda count: None,
    ):
        """Shows nothing yet: entered, it does.

        Args:
          label: what the bar says.
          configs: of all runs that are to be trained, by run id.
          donors: ids of those among them that others stand on.
          finished: how many runs beside them were finished before.
          shown: whether anything is shown but messages.
          on_step: called with the number of steps made since the last call.
        """
        self._label = label
        self._configs = configs
        self._on_step = on_step
        self._shown = shown
        self._terminal = shown and sys.stderr.isatty()
        self._names = {
            run_id: _name(config, run_id in donors)
            for run_id, config in configs.items()
        }
        self._width = max(map(len, self._names.values()), default=0)
        self._start = self._written = self._ticked = time.monotonic()
        self._total = sum(config.steps for config in configs.values())
        # Of all runs; `resumed` were made before, and say nothing of the pace.
        self._made = self._resumed = 0
        self._ended = finished
        self._runs = finished + len(configs)
        # Of each run under way; None until it says where it goes on from.
        self._steps: dict[str, int | None] = {}
        self._lines: dict[str, tqdm] = {}
        self._seen: set[str] = set()
        self._bar: tqdm | None = None

    def listen(self, event: Event) -> None:
        """Shows what has happened to a run."""
        if isinstance(event, Said):
            self.write(event.text)
        elif event.run_id not in self._configs:
            return
        elif isinstance(event, Began):
            self._begin(event.run_id)
        else:
            self._advance(event.run_id, event.step)
        self.tick()

    def write(self, text: str) -> None:
        """Prints a message above the bars."""
        tqdm.write(text)

    def tick(self) -> None:
        """Keeps the time right while nothing happens."""
        now = time.monotonic()
        if self._bar is not None:
            if now - self._ticked >= _TICK_SECONDS:
                self._ticked = now
                self._bar.refresh()
        elif self._shown and now - self._written >= _PLAIN_SECONDS:
            self._written = now
            print(self.summary(), file=sys.stderr, flush=True)

    def end(self, run_id: str, state: str) -> None:
        """Takes the run's line away; unless it is finished, its steps do not count."""
        made = self._steps.pop(run_id, None) or 0
        if run_id in self._lines:
            self._lines.pop(run_id).close()
        steps = self._configs[run_id].steps
        if state == "finished":
            # The last of them may not have been told, or were made elsewhere.
            self._move(steps - made)
        else:
            self._move(-made)
        if state == "failed":
            self._total -= steps
        if state in ("finished", "failed"):
            self._ended += 1
        self._describe()

    def summary(self) -> str:
        """Runs, steps and time left, in words."""
        share = self._made / self._total if self._total else 1.0
        new = self._made - self._resumed
        left = ""
        if new > 0:
            pace = (time.monotonic() - self._start) / new
            left = f", about {duration(pace * (self._total - self._made))} left"
        return (
            f"{self._label}: {self._ended} of {self._runs} runs done, "
            f"{100 * share:.0f} % of the steps{left}"
        )

    def __enter__(self) -> Self:
        if self._terminal:
            self._bar = tqdm(
                total=self._total,
                bar_format=_STUDY_BAR,
                # The pace of minutes: evaluations and starts have their share in it.
                smoothing=0.05,
                dynamic_ncols=True,
            )
            self._describe()
        return self

    def __exit__(self, *error: object) -> None:
        for line in self._lines.values():
            line.close()
        if self._bar is not None:
            self._bar.close()

    def _begin(self, run_id: str) -> None:
        """A line for the run; one that had begun goes back to its saved state."""
        self._move(-(self._steps.get(run_id) or 0), run_id)
        self._steps[run_id] = None
        if self._bar is not None and run_id not in self._lines:
            self._lines[run_id] = tqdm(
                total=self._configs[run_id].steps,
                desc=self._names[run_id].ljust(self._width),
                bar_format=_RUN_BAR,
                leave=False,
                dynamic_ncols=True,
            )

    def _advance(self, run_id: str, step: int) -> None:
        if run_id not in self._steps:
            return  # Told late by a process whose run has ended.
        before = self._steps[run_id]
        self._steps[run_id] = step
        if before is None and run_id in self._seen:
            self.write(f"{run_id} goes on from step {step} in another process")
        self._seen.add(run_id)
        if before is None:
            self._resumed += step
            if self._bar is not None:
                self._bar.initial += step
        self._move(step - (before or 0), run_id)

    def _move(self, steps: int, run_id: str | None = None) -> None:
        """Counts steps that were made, or that are to be made again."""
        self._made += steps
        for bar in (self._bar, self._lines.get(run_id or "")):
            if bar is None:
                continue
            if steps < 0:
                bar.n += steps
                bar.refresh()
            else:
                bar.update(steps)
        if steps >= 0:
            self._on_step(steps)

    def _describe(self) -> None:
        if self._bar is not None:
            self._bar.total = self._total
            done = f"{self._ended} of {self._runs} runs done"
            self._bar.set_description_str(f"{self._label}: {done}")


def _name(config: RunConfig, donor: bool) -> str:
    """What a run's line says of it."""
    if donor:
        source = Path(config.dataset)
        name = source.parent.name if source.suffix == ".toml" else source.name
        return f"donor: {config.model} on {name}"
    size = f" {config.train_examples} images" if config.train_examples else ""
    fold = f" fold {config.fold}" if config.fold is not None else ""
    return f"{config.model} {config.initialization}{size}{fold} seed {config.seed}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
