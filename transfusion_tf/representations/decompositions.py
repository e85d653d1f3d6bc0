"""Eigen and singular value decompositions of small float64 matrices, on the host.

By TensorFlow and on the CPU, whichever device made the moments. NumPy's LAPACK is
twice as fast at 512 channels on idle cores, but its spinning threads take 100 ms for
a 64 × 64 matrix where TensorFlow's keep the cores busy, and TensorFlow takes 2.
"""

import numpy as np
import tensorflow as tf


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix, ascending, and its eigenvectors."""
    if not matrix.size:
        return np.zeros(0), np.zeros((0, 0))
    with tf.device("/CPU:0"):
        values, vectors = tf.linalg.eigh(matrix)
    return values.numpy(), vectors.numpy()


def singular_values(matrix: np.ndarray) -> np.ndarray:
    """Singular values, descending."""
    if not matrix.size:
        return np.zeros(0)
    with tf.device("/CPU:0"):
        return tf.linalg.svd(matrix, compute_uv=False).numpy()


def svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, s, v with `matrix = u @ diag(s) @ v.T`; s descending."""
    if not matrix.size:
        rows, columns = matrix.shape
        return np.zeros((rows, 0)), np.zeros(0), np.zeros((columns, 0))
    with tf.device("/CPU:0"):
        values, left, right = tf.linalg.svd(matrix)
    return left.numpy(), values.numpy(), right.numpy()
