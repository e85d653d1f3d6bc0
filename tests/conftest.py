import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Two test processes of one thread each cost less than two with two threads each, whose
# pools wait turning. Whatever the tests start inherits it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from support import write_clinic

from transfusion_tf.datasets import load_card, prepare


@pytest.fixture
def clinic(tmp_path):
    """A small CSV data set that a test may damage; its card's path."""
    return write_clinic(tmp_path / "clinic", patients=24, size=40)


@pytest.fixture(scope="session")
def clinic_root(tmp_path_factory):
    """A CSV data set that many tests read; its folder."""
    folder = tmp_path_factory.mktemp("session") / "clinic"
    write_clinic(folder, patients=40)
    return folder


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Where prepared data of the session lie."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def prepared(clinic_root, data_root):
    """The session's data set, built."""
    return prepare(load_card(clinic_root), data_root, workers=1, progress=False)


@pytest.fixture(scope="session")
def trained_root(clinic_root, prepared, data_root, tmp_path_factory):
    """A root with three finished runs of two steps: two random, one from Gabors."""
    from transfusion_tf.training import Options, RunConfig, resolve, train

    root = tmp_path_factory.mktemp("trained")
    (root / "data").symlink_to(data_root)
    for initialization, seed in (("random", 0), ("random", 1), ("gabor", 0)):
        config = RunConfig(
            dataset=str(clinic_root),
            model="cbr_tiny",
            initialization=initialization,
            seed=seed,
            batch_size=4,
            steps=2,
            eval_every=2,
        )
        config, _ = resolve(config, data_root, progress=False)
        train(
            config,
            root / "runs" / config.run_id,
            Options(data_root=data_root, progress=False),
        )
    return root
