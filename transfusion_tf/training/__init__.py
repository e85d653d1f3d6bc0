"""One run, start to end, on any strategy."""

from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.loop import NonFiniteError
from transfusion_tf.training.resolve import resolve
from transfusion_tf.training.run import RunResult, train
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.run_lock import RunHeldError
from transfusion_tf.training.run_options import RunOptions
from transfusion_tf.training.termination import Terminated

__all__ = [
    "NonFiniteError",
    "RunConfig",
    "RunDirectory",
    "RunHeldError",
    "RunOptions",
    "RunResult",
    "Terminated",
    "resolve",
    "train",
]
