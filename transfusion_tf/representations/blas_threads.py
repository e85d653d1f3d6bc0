"""One thread for linear algebra, where ours or nobody's are better than BLAS's.

The threads of BLAS turn for work for tens of milliseconds after each call. NumPy and
SciPy each bring a BLAS of their own, and TensorFlow threads too: turning threads of one
halve the speed of the others.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

# Limits are the process's: two that overlap would restore each other's.
_lock = threading.RLock()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """A block in which calls of BLAS and LAPACK start no threads."""
    with _lock, _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
