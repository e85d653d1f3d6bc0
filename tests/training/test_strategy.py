"""Two devices with the same global batch give the losses of one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training.strategy import make_strategy

# Devices must be split before TensorFlow starts: a process each. SGD, because Adam
# divides by tiny gradients at first and so magnifies rounding; a small rate, because
# max pooling turns a rounding difference into another winner sooner or later.
SCRIPT = """
import json, sys
import tensorflow as tf
name, devices, dataset, data_root, folder = sys.argv[1:]
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * int(devices)
tf.config.set_logical_device_configuration(cpu, logical)
from transfusion_tf.training import Options, RunConfig, train
config = RunConfig(dataset=dataset, model="cbr_tiny", batch_size=8, steps=10,
                   eval_every=1, optimizer="sgd", learning_rate=1e-4)
options = Options(data_root=data_root, strategy=name, progress=False)
result = train(config, folder, options)
metrics = result.directory.metrics()
print(json.dumps([metrics["train/loss"][1:].tolist(),
                  metrics["validation/loss"].tolist(), result.test]))
"""


def losses(strategy, devices, dataset, data_root, folder):
    arguments = [strategy, devices, dataset, data_root, folder]
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_two_mirrored_devices_match_one(prepared, clinic_root, data_root, tmp_path):
    one = losses("one", 1, clinic_root, data_root, tmp_path / "one")
    two = losses("mirrored", 2, clinic_root, data_root, tmp_path / "two")
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(two[1], one[1], rtol=1e-3)
    assert two[2].keys() == one[2].keys()


def test_an_unknown_strategy_lists_the_valid_ones():
    with pytest.raises(UserError, match="auto, one, mirrored"):
        make_strategy("tpu")
