"""Our whole training loop against bare loops over the same input pipeline.

Command: python -m transfusion_tf_experiments.benchmarks.training_loop
Cost: about 1 minute on 2 quiet cores.

A real run, `transfusion_tf.training.train`, is paused every few steps while the other
loops take as many: a bare loop over our compiled step, which shows what the loop
around it costs (progress bar, waiting times, SIGTERM, losses), a bare loop over a
plain `tf.function` step, and `model.fit`. All read the same kind of pipeline, with
JPEG decoding, crops and flips; ours changes colours too.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import io
import tempfile
import time
from collections.abc import Mapping

import keras
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset, load_card, prepare
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf.models import build
from transfusion_tf.training import RunConfig, RunOptions, resolve, train
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import bare_step, built_adam, keras_fit
from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import Work, speed_results

_CARD = "phantom_retina_few"
_MODEL, _SIZE, _BATCH = "cbr_tiny", 96, 8
# Steps that a loop takes at a time, and how often each has its turn.
_STEPS, _ROUNDS = 10, 9


def main() -> list[Result]:
    """Trains for a minute."""
    with tempfile.TemporaryDirectory() as folder:
        card = load_card(_CARD).replace(image_size=_SIZE)
        prepared = prepare(card, folder, progress=False)
        others = {
            "a bare loop over our step": _over_our_step(prepared),
            "a bare loop over a tf.function": _over_plain_step(prepared),
            "model.fit": _fit(prepared),
        }
        seconds = loop_in_turns(prepared, folder, others, _ROUNDS)
    title = f"training loop, {_MODEL} at {_SIZE} px, batch {_BATCH}"
    results = []
    for baseline in others:
        pair = {baseline: seconds[baseline], "ours": seconds["ours"]}
        results += speed_results(
            title,
            pair,
            baseline=baseline,
            images=_STEPS * _BATCH,
            targets={"ours": "at least 0.97"},
        )
    return results


def loop_in_turns(
    prepared: PreparedDataset, root: str, others: Mapping[str, Work], rounds: int
) -> dict[str, list[float]]:
    """Seconds of every loop in every round, ours measured inside a real run.

    Args:
      prepared: what the run trains on; built below `root`.
      root: where the run's folder goes.
      others: loops that take `_STEPS` steps a call; the first calls don't count.
      rounds: that count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
    done, since = 0, 0.0

    def after_step(count: int) -> None:
        nonlocal done, since
        done += count
        if not count or done % _STEPS:
            return
        ours = time.perf_counter() - since
        counts = done > 2 * _STEPS  # The first block traces, the second settles.
        if counts:
            seconds["ours"].append(ours)
        for name, work in others.items():
            start = time.perf_counter()
            own = work()
            if counts:
                taken = time.perf_counter() - start if own is None else own
                seconds[name].append(taken)
        since = time.perf_counter()

    steps = (rounds + 2) * _STEPS
    config = RunConfig(
        dataset=_CARD,
        model=_MODEL,
        image_size=_SIZE,
        batch_size=_BATCH,
        steps=steps,
        eval_every=steps,
    )
    config, _ = resolve(config, root, prepared=prepared)
    options = RunOptions(data_root=root, on_step=after_step)
    # The bar is part of what is measured, but not of what is shown.
    with contextlib.redirect_stderr(io.StringIO()):
        train(config, f"{root}/runs/{config.run_id}", options, prepared=prepared)
    return seconds


def _model(prepared: PreparedDataset) -> keras.Model:
    classes = len(prepared.card.labels.classes)
    return build(_MODEL, (_SIZE, _SIZE, 3), classes, seed=0)


def _over_our_step(prepared: PreparedDataset) -> Work:
    model = _model(prepared)
    augmenter = Augmenter(prepared.card.augmentation)
    step = make_steps(
        model, built_adam(model, FusedAdam), augmenter, make_strategy("one"), _BATCH
    ).train
    batches = iter(train_batches(prepared, _BATCH))

    def run() -> None:
        for _ in range(_STEPS):
            loss = step(next(batches))
        loss.numpy()

    return run


def _over_plain_step(prepared: PreparedDataset) -> Work:
    model = _model(prepared)
    step = bare_step(model, built_adam(model))
    batches = iter(train_batches(prepared, _BATCH))

    def run() -> None:
        for _ in range(_STEPS):
            batch = next(batches)
            loss = step(batch["image"], batch["label"])
        loss.numpy()

    return run


def _fit(prepared: PreparedDataset) -> Work:
    """Keras's loop; its first two steps, in which the pipeline fills, are left out."""
    batches = train_batches(prepared, _BATCH)
    pairs = batches.map(lambda batch: (batch["image"], batch["label"]))
    return keras_fit(
        _model(prepared), pairs.prefetch(tf.data.AUTOTUNE), _STEPS, left_out=2
    )


if __name__ == "__main__":
    main()
