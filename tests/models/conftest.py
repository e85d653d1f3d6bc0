import keras
import pytest

from transfusion_tf.models import build

SMALLEST = {"resnet50": 64, "inception_v3": 75}


@pytest.fixture(scope="session")
def smallest_model():
    """Builds each model once, at its smallest image size. Tests must not change it."""
    built: dict[str, keras.Model] = {}

    def get(name: str) -> keras.Model:
        if name not in built:
            size = SMALLEST.get(name, 64)
            built[name] = build(name, (size, size, 3), 5, seed=0)
        return built[name]

    return get
