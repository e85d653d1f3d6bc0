"""How often a donor that has learned nothing passes the gate of the few-shot probe.

  python -m transfusion_tf_experiments.benchmarks.donor_gate --model=cbr_tiny

Cost: 2 minutes on one core for CBR-Tiny, 8 for ResNet50. Random starts stand for
donors, five others of the same architecture for what they are held against; the figures
of `docs/design_notes.md` are its own.
"""

from collections.abc import Sequence

import numpy as np
from absl import app, flags

from transfusion_tf.representations.few_shot_probe import probe_gain
from transfusion_tf.studies.donor_quality import LEAST_GAIN
from transfusion_tf.studies.measurements.donor_measures import (
    RANDOM_STARTS,
    random_accuracies,
)

_MODEL = flags.DEFINE_string("model", "cbr_tiny", "Whose random starts.")
_SEEDS = flags.DEFINE_integer("seeds", 60, "Random starts to draw from.")
_DRAWS = flags.DEFINE_integer("draws", 1000, "Draws of a donor and its controls.")


def _main(arguments: Sequence[str]) -> None:
    del arguments
    accuracies = random_accuracies(_MODEL.value, range(_SEEDS.value))
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(_DRAWS.value):
        donor, *others = generator.permutation(_SEEDS.value)[: 1 + RANDOM_STARTS]
        gains.append(probe_gain(accuracies[donor], accuracies[others]))
    means = accuracies.mean(axis=1)
    print(
        f"{_MODEL.value}: accuracy {means.mean():.3f}, chance "
        f"{1 / accuracies.shape[1]:.3f}, {means.std(ddof=1):.4f} between starts; gains "
        f"{np.std([gain.estimate for gain in gains]):.4f}, their intervals ± "
        f"{np.mean([gain.high - gain.low for gain in gains]) / 2:.3f}"
    )
    for least in (0.0, LEAST_GAIN / 2, LEAST_GAIN):
        share = np.mean([gain.low > least for gain in gains])
        print(f"lower end above {least:g}: {share:.1%}")


if __name__ == "__main__":
    app.run(_main)
