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
from extras import missing_extras, wanted_extra
from support import write_clinic

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.errors import UserError

# What takes longest comes first, so that no process works alone at the end.
LONG_FILES = (
    "experiments/test_transfusion_smoke.py",
    "training/test_multi_worker.py",
    "experiments/test_feature_reuse_smoke.py",
    "experiments/test_hidden_representations_smoke.py",
    "studies/test_engines.py",
    "report/test_views.py",
    "training/test_train.py",
    "reliability/test_kills.py",
    "report/test_reuse_views.py",
    "report/test_donor_views.py",
)


def pytest_addoption(parser):
    parser.addoption(
        "--all-extras",
        action="store_true",
        help="Ends with an error where an extra is missing, whose tests would be "
        "skipped.",
    )


def pytest_configure(config):
    missing = missing_extras()
    if missing and config.getoption("--all-extras"):
        raise pytest.UsageError(f"extras that are missing: {', '.join(missing)}")


def pytest_report_header():
    missing = missing_extras()
    if missing:
        return f"tests of missing extras are skipped: {', '.join(missing)}"
    return None


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.nodeid.removeprefix("tests/").partition("::")[0]
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    return (yield from skip_without_extra())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    return (yield from skip_without_extra())


def skip_without_extra():
    try:
        return (yield)
    except UserError as error:
        extra = wanted_extra(error)
        if extra:
            pytest.skip(f"the extra {extra} is not installed")
        raise


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
