from concurrent.futures import ThreadPoolExecutor

import keras
import pytest

from transfusion_tf.models import build
from transfusion_tf.models.architectures import smallest_size


@pytest.fixture(scope="session")
def smallest_model():
    """Builds each model once, at a small image size. Tests must not change it."""
    built: dict[str, keras.Model] = {}

    def get(name: str) -> keras.Model:
        if name not in built:
            size = max(64, smallest_size(name))
            built[name] = build(name, (size, size, 3), 5, seed=0)
        return built[name]

    return get


@pytest.fixture(scope="session")
def weightless_model():
    """Builds a model of which names and shapes can be read, but no value is made."""

    def get(name: str, size: int = 224) -> keras.Model:
        def make() -> keras.Model:
            with keras.StatelessScope(initialize_variables=False):
                return build(name, (size, size, 3), 5)

        # In a thread of its own, for Keras keeps a thread's list of variables to make.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(make).result()

    return get
