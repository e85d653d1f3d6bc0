"""CKA of every stage of one model with every stage of another."""

import keras
import numpy as np
import pytest

from transfusion_tf.models import build
from transfusion_tf.representations import cka, compare_stage_pairs, named_outputs

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)


def test_every_stage_is_compared_with_every_stage():
    model_a, model_b = (build("cbr_tiny", (64, 64, 3), 5, seed=n) for n in range(2))
    table = compare_stage_pairs(model_a, model_b, IMAGES, batch_size=32, progress=False)
    assert len(table) == 16
    found = table[(table["stage_a"] == "pool2") & (table["stage_b"] == "pool4")]
    one, other = (
        np.asarray(activations_of(model, name, IMAGES))
        for model, name in ((model_a, "pool2"), (model_b, "pool4"))
    )
    assert found["cka"].item() == pytest.approx(cka(one, other).value, abs=1e-6)


def activations_of(model, name, images):
    output = keras.Model(model.input, named_outputs(model, [name])[name])
    activations = np.asarray(output(images.astype(np.float32)))
    return activations.reshape(len(images), -1)
