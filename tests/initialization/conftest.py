import numpy as np
import pytest

from transfusion_tf.initialization import Donor, donor_from_model
from transfusion_tf.models import build, named_tensors


def trained_looking(model, seed: int):
    """Gives every tensor, batch norm included, values that no initializer gives."""
    for index, tensor in enumerate(named_tensors(model)):
        generator = np.random.default_rng([seed, index])
        values = generator.gamma(2.0, 0.1 + 0.01 * index, tensor.shape)
        tensor.variable.assign(values.astype("float32"))
    return model


@pytest.fixture
def model():
    return build("cbr_tiny", (64, 64, 3), 5)


@pytest.fixture(scope="session")
def donor_model():
    return trained_looking(build("cbr_tiny", (64, 64, 3), 7), seed=1)


@pytest.fixture(scope="session")
def donor(donor_model) -> Donor:
    return donor_from_model(donor_model, "donor")
