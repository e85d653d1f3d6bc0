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
