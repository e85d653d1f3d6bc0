"""How a process becomes one of many, and how it leaves them."""

import faulthandler
import functools
import time

import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.training import provenance
from transfusion_tf.training.distributed.cluster import Cluster
from transfusion_tf.training.distributed.cluster_workers import ClusterWorkers

# A worker that was there a moment ago is waited for so long by TensorFlow's start.
_CONNECT_SECONDS = 300.0
# The last sum takes milliseconds; on a busy machine it has taken a second.
_LINGER_SECONDS = 5.0


@functools.cache
def join_cluster(cluster: Cluster) -> ClusterWorkers:
    """Meets the other workers at the first call; later ones return the same.

    Raises:
      UserError: TensorFlow has started already; a worker does not come, or differs.
    """
    if _has_started():
        raise UserError(
            "--strategy=multi_worker comes too late: TensorFlow has started in this "
            "process; join the workers before anything is computed"
        )
    gpus = tf.config.list_physical_devices("GPU")
    code = {"source code": provenance.source_fingerprint()}
    cluster.meet({**provenance.versions(), **code, "GPUs": len(gpus)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    # TensorFlow's start holds Python's lock: only C can end it.
    faulthandler.dump_traceback_later(_CONNECT_SECONDS, exit=True)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        raise UserError(
            f"{cluster.name(cluster.worker)} could not join the others: {error.message}"
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    return ClusterWorkers(strategy, cluster)


def have_joined() -> bool:
    """Whether this process is one of many: TensorFlow's end waits for the others."""
    return join_cluster.cache_info().currsize > 0


def linger() -> None:
    """Stays until the others have what this process sent last.

    All come to an orderly end after the same sum, but not at once: one that ended
    first would break the sum under the others, who would call it lost.
    """
    time.sleep(_LINGER_SECONDS)


def _has_started() -> bool:
    """Whether TensorFlow has fixed its devices."""
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(threads + 1)
    except RuntimeError:
        return True
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return False
