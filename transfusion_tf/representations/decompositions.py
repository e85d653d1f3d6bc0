"""Products and decompositions of small float64 matrices, on the host.

By LAPACK on one thread: for 512 channels half of TensorFlow's time. With its own
threads it took 100 ms for a 64 × 64 matrix where TensorFlow's kept the cores busy.
"""

import numpy as np

from transfusion_tf.representations.blas_threads import one_blas_thread


def product(*matrices: np.ndarray) -> np.ndarray:
    """The matrices multiplied, two or more."""
    with one_blas_thread():
        return np.linalg.multi_dot(matrices)


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix, ascending, and its eigenvectors."""
    with one_blas_thread():
        values, vectors = np.linalg.eigh(matrix)
    return values, vectors


def singular_values(matrix: np.ndarray) -> np.ndarray:
    """Singular values, descending."""
    with one_blas_thread():
        return np.linalg.svd(matrix, compute_uv=False)


def svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, s, v with `matrix = u @ diag(s) @ v.T`; s descending."""
    with one_blas_thread():
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return left, values, right.T


def triangular_factor(matrix: np.ndarray) -> np.ndarray:
    """R of `matrix = Q @ R`, [min(rows, columns), columns]."""
    with one_blas_thread():
        return np.asarray(np.linalg.qr(matrix, mode="r"))
