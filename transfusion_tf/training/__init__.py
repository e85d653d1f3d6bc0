"""One run, start to end, on any strategy.

What trains is imported when it is first asked for: it brings TensorFlow, which neither
`RunConfig` needs nor the `--help` that is made of it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfusion_tf.training.config import RunConfig
    from transfusion_tf.training.loop import NonFiniteError
    from transfusion_tf.training.resolved_config import resolve
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

_MODULES = {
    "NonFiniteError": "loop",
    "RunOptions": "run_options",
    "RunConfig": "config",
    "RunDirectory": "run_directory",
    "RunHeldError": "run_lock",
    "RunResult": "run",
    "Terminated": "termination",
    "resolve": "resolved_config",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
