"""How a binary starts and ends: help, messages, signals, exit codes."""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import app, logging

from transfusion_tf_experiments import flags

# Exit codes of a process that a signal ended, as shells give them.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
UNREAD = 128 + signal.SIGPIPE
_GRACE_SECONDS = 10.0


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines, which heed no log level.

    They are written by C++ to file descriptor 2; a failing import still raises. It
    takes seconds: a terminal is told so meanwhile.
    """
    said = "starting TensorFlow" if sys.stderr.isatty() else ""
    sys.stderr.write(said)
    try:
        with without_stderr():
            import tensorflow  # noqa: F401
    finally:
        if said:
            sys.stderr.write("\r" + " " * len(said) + "\r")


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """For the time of the block, nothing goes to file descriptor 2, of C++ either."""
    sys.stderr.flush()
    kept = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


def _flags_help(module: str) -> str:
    """The binary's own flags and the shared ones, without absl's."""
    shared = [
        name
        for name in flags.FLAGS.flags_by_module_dict()
        if name.startswith(f"{__package__}.") and name != module
    ]
    parts = [flags.FLAGS.module_help(name) for name in (*shared, module)]
    lines = "\n".join(parts).splitlines()
    return "\n".join(line for line in lines if line.startswith(" "))


def _end_on_sigterm(asked: threading.Event) -> None:
    """Ends the process when SIGTERM asks for it, which sets `asked`.

    Training puts a handler of its own in this one's place, to save its state first.
    """

    def end(*_: object) -> None:
        if not asked.is_set():
            asked.set()
            # A library may swallow the exception while it is imported: ask again. Or
            # cleaning up may take long: what is written then is as safe as from any
            # kill.
            _later(_GRACE_SECONDS / 2, os.kill, os.getpid(), signal.SIGTERM)
            _later(_GRACE_SECONDS, os._exit, TERMINATED)
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, end)


def _later(seconds: float, action: Callable[..., object], *arguments: int) -> None:
    """Does something from another thread, unless the process has ended by then."""
    timer = threading.Timer(seconds, action, arguments)
    timer.daemon = True
    timer.start()


def _message(error: Exception) -> str | None:
    """What to say where the error is the user's to mend; None where it is a bug."""
    from transfusion_tf.errors import UserError

    if isinstance(error, UserError):
        return str(error)
    # Libraries wrap a full disk in errors of their own.
    if "No space left on device" in str(error):
        return f"the disk is full: {error}"
    return None


def say_report(report: Path) -> None:
    """Ends a command: what the report says first, and its path on standard output."""
    from transfusion_tf.report.freshness import headline_of

    headline = headline_of(report.parent)
    if headline:
        print(headline, file=sys.stderr, flush=True)
    print(report)


def _stop(code: int) -> None:
    print("stopped; the same command goes on from here", file=sys.stderr)
    _end(code)


def _reader_is_gone() -> bool:
    """Whether nobody reads what is printed any more, as after `| head`."""
    if sys.stdout is None:  # Closed before we started.
        return False
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    stdout = select.poll()
    stdout.register(1, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in stdout.poll(0))
    if gone:
        # What is left over would be complained about when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return gone


def _end(code: int) -> None:
    # Absent where nothing was trained: nothing is imported to end with.
    joining = sys.modules.get("transfusion_tf.training.distributed.joining")
    if joining is not None and joining.have_joined():
        sys.stdout.flush()
        sys.stderr.flush()
        joining.linger()
        # TensorFlow's own end would wait for the others, gone or not.
        os._exit(code)
    sys.exit(code)


def start(main: Callable[[Sequence[str]], None], text: str) -> None:
    """Runs a binary: help at once, a user's mistake as one message, exit codes.

    | code | the process |
    |---|---|
    | 0 | did what it was asked |
    | 1 | met an error of ours, shown with its traceback |
    | 2 | met something that is the user's to mend, shown as one message |
    | 75 | lost another worker of the same training |
    | 130 | was interrupted with Ctrl-C |
    | 141 | met a closed pipe where it prints, as in `transfusion-data list | head` |
    | 143 | was asked to end with SIGTERM, as batch systems do before a kill |

    After 75, 130 and 143 the same command goes on. SIGTERM during training waits for
    the step that runs and saves the state; at other times the process ends at once.

    Args:
      main: takes the positional arguments.
      text: the module's docstring, shown above the flags.
    """
    if any(
        argument in ("--help", "-h", "-help", "--helpshort") for argument in sys.argv
    ):
        with contextlib.suppress(BrokenPipeError):
            print(f"{text.strip()}\n\nFlags:\n{_flags_help(main.__module__)}")
        sys.exit(UNREAD if _reader_is_gone() else 0)
    _quieten()
    asked_to_end = threading.Event()

    def guarded(arguments: Sequence[str]) -> None:
        logging.set_verbosity(logging.ERROR)
        try:
            main(arguments[1:])
            if _reader_is_gone():
                _end(UNREAD)
        except Exception as error:
            if asked_to_end.is_set():  # Libraries turn it into errors of their own.
                sys.exit(TERMINATED)
            if isinstance(error, BrokenPipeError) and _reader_is_gone():
                _end(UNREAD)
            message = _message(error)
            if message is None:
                raise
            print(f"error: {message}", file=sys.stderr)
            _end(getattr(error, "exit_code", 2))

    # Around all of it: either may come before the flags are parsed.
    try:
        _end_on_sigterm(asked_to_end)
        app.run(guarded)
    except KeyboardInterrupt:
        _stop(INTERRUPTED)
    except SystemExit as end:
        if end.code != TERMINATED:
            raise
        _stop(TERMINATED)


def _quieten() -> None:
    """Keeps libraries' output to what a person or a log wants to read."""
    # TensorFlow's start-up chatter hides what we say; its errors stay.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not sys.stderr.isatty():
        # A log gets a line per minute of what takes one, in place of bars.
        os.environ.setdefault("TQDM_DELAY", "60")
        os.environ.setdefault("TQDM_MININTERVAL", "60")
        line = "{desc}: {percentage:.0f} %, {remaining} left\n"
        os.environ.setdefault("TQDM_BAR_FORMAT", line)
