import functools
import gc
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

from transfusion_tf import locks
from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.errors import UserError

FOLDER = Path(__file__).parent

# What takes longest comes first, so that no process works alone at the end: 120 to 10 s
# of a core, in this order.
LONG_FILES = (
    "experiments/test_transfusion_smoke.py",
    "experiments/test_feature_reuse_smoke.py",
    "studies/test_engines.py",
    "training/test_multi_worker.py",
    "experiments/test_hidden_representations_smoke.py",
    "report/test_views.py",
    "reliability/test_disks.py",
    "training/test_reuse.py",
    "report/test_reuse_views.py",
    "reliability/test_signals.py",
    "models/test_transformers.py",
    "initialization/test_presets.py",
    "studies/test_runner.py",
    "experiments/test_binaries.py",
    "experiments/test_compare.py",
    "report/test_donor_views.py",
    "report/test_html.py",
    "training/test_train.py",
    "test_documentation.py",
    "initialization/test_donors.py",
    "studies/test_shards.py",
)


def pytest_addoption(parser):
    parser.addoption(
        "--all-extras",
        action="store_true",
        help="Ends with an error where an extra is missing, whose tests would be "
        "skipped.",
    )


def pytest_configure(config):
    unknown = [name for name in LONG_FILES if not (FOLDER / name).exists()]
    if unknown:
        raise pytest.UsageError(f"LONG_FILES names what is not there: {unknown}")
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


def pytest_collection_finish():
    # What all imports have made stays. Keras looks through everything else for garbage
    # whenever a trainer is built: 0.3 s of a core with TensorFlow's own objects.
    gc.freeze()


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """The folder of all test processes of the session."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def build_once(shared):
    """Has the first process that asks build what all read; returns its folder."""

    def build(name, make):
        folder, lock = shared / name, shared / f"{name}.lock"
        held = locks.take(lock, wait=True)
        try:
            if not folder.exists():
                unfinished = shared / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                make(unfinished)
                unfinished.rename(folder)
        finally:
            locks.give_back(held, lock)
        return folder

    return build


@pytest.fixture(scope="session")
def small_clinic(build_once):
    """What `clinic` copies: to draw it takes as long as a hundred tests of cards."""
    return build_once(
        "small_clinic", lambda folder: write_clinic(folder, patients=24, size=40)
    )


@pytest.fixture
def clinic(small_clinic, tmp_path):
    """A small CSV data set that a test may damage; its card's path."""
    shutil.copytree(small_clinic, tmp_path / "clinic", copy_function=shutil.copy)
    return tmp_path / "clinic" / "dataset.toml"


@pytest.fixture(scope="session")
def clinic_root(build_once):
    """A CSV data set that many tests read; its folder."""
    return build_once("clinic", lambda folder: write_clinic(folder, patients=40))


@pytest.fixture(scope="session")
def data_root(shared):
    """Where prepared data of the session lie."""
    folder = shared / "data"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def prepared(clinic_root, data_root):
    """The session's data set, built."""
    return prepare(load_card(clinic_root), data_root, workers=1, progress=False)


@pytest.fixture(scope="session")
def train_once(shared):
    """Trains a run that all test processes read; the others find it finished."""
    from transfusion_tf.training import train

    def once(config, folder, options):
        lock = shared / f"{folder.name}.lock"
        held = locks.take(lock, wait=True)
        try:
            return train(config, folder, options)
        finally:
            locks.give_back(held, lock)

    return once


@pytest.fixture(scope="session")
def trained_root(clinic_root, prepared, data_root, build_once, train_once):
    """A root with three finished runs of two steps: two random, one from Gabors."""
    from transfusion_tf.training import RunConfig, RunOptions, resolve

    def link_data(folder):
        folder.mkdir()
        (folder / "data").symlink_to(data_root)

    root = build_once("trained", link_data)
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
        train_once(
            config,
            root / "runs" / config.run_id,
            RunOptions(data_root=data_root, progress=False),
        )
    return root


@pytest.fixture(scope="session")
def weightless():
    """Calls what makes models of which names and shapes are read, and no value."""
    import keras

    def call(make):
        def in_scope():
            with keras.StatelessScope(initialize_variables=False):
                return make()

        # In a thread of its own, for Keras keeps a thread's list of variables to make.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(in_scope).result()

    return call


@pytest.fixture(scope="session")
def weightless_model(weightless):
    """Builds a model without weights, each once: tests must not change it."""
    from transfusion_tf.models import build

    @functools.cache
    def get(name: str, size: tuple[int, int] = (224, 224)):
        return weightless(lambda: build(name, (*size, 3), 5))

    return get
