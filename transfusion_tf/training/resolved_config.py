"""From what the user typed to what will be computed: no field left open."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from transfusion_tf import files
from transfusion_tf.datasets import (
    Augmentation,
    DatasetCard,
    PreparedDataset,
    load_card,
    prepare,
)
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.evaluation import METRICS
from transfusion_tf.initialization import is_preset, parse_spec, preset_fingerprint
from transfusion_tf.input_pipeline import pixel_statistics
from transfusion_tf.models import (
    DATASET_MEAN_STD,
    STANDARD_UNITS,
    ModelSpec,
    dataset_scaling_name,
    parse_model_name,
)
from transfusion_tf.models.architectures import check_image_size
from transfusion_tf.models.registry import ARCHITECTURES
from transfusion_tf.toml_tables import checked
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.run_directory import RunDirectory

# Runs of fewer steps -> momentum of batch norm where the architecture's is higher: 0.99
# remembers 37 % of its start after 100 steps, MobileNetV2's 0.999 after 1000.
_SHORT_RUNS = {200: 0.8, 2000: 0.9, 20_000: 0.99}

# Of runs of fewer steps, how many training images statistics are estimated on before
# each evaluation. Moving averages lag behind weights that still change fast: of
# transferred ResNet50s, validation losses were up to 24 with a momentum of 0.8,
# 370 000 with 0.99.
_SETTLED_STEPS = 2000
_SETTLING_IMAGES = 256

# Metrics that need a kind of labels; the others fit all.
_METRIC_KINDS = {
    "referable_auc": ("grade",),
    "quadratic_kappa": ("grade",),
    "accuracy": ("grade", "class"),
    "balanced_accuracy": ("grade", "class"),
    "top5_accuracy": ("grade", "class"),
}


def resolve(
    config: RunConfig,
    data_root: str | Path,
    *,
    progress: bool = True,
    prepared: PreparedDataset | None = None,
    planned: Collection[str] = (),
) -> tuple[RunConfig, PreparedDataset]:
    """Fills in what the card decides and fingerprints data and donor.

    Prepares the data if need be, unless the caller has them open already: opening
    reads every row of the data set's tables. The resolved config has a `run_id`.

    Args:
      config: open fields take the card's values.
      data_root: where prepared data lies.
      progress: whether to show progress bars.
      prepared: the config's data set, where the caller has it open.
      planned: run directories that need not be there yet: the caller sees to it that
        they are finished when this run starts.

    Returns:
      The resolved config, and its data set with the splits of its fold, if it has one.

    Raises:
      UserError: unknown card, metric, scheme or donor; a donor that is missing, or
        a donor run that is not finished; a fold that can't be.
    """
    card = prepared.card if prepared else card_of(config)
    config = answered(config, card, planned)
    if prepared is None:
        prepared = prepare(card, data_root, progress=progress)
    prepared = in_fold_of(config, prepared)
    # Raises where there are fewer.
    examples = prepared.examples("train", config.train_examples)
    config = with_own_epochs(config, len(examples))
    resolved = config.replace(
        data=prepared.fingerprint,
        pixel_statistics=_pixel_statistics(config, prepared),
        # Own epochs may be so few that the run is a short one.
        batch_norm_momentum=_batch_norm_momentum(config),
        batch_norm_images=_batch_norm_images(config),
    )
    return resolved, prepared


def answered(
    config: RunConfig, card: DatasetCard, planned: Collection[str] = ()
) -> RunConfig:
    """The config with all that can be said before its data are prepared.

    Args:
      config: open fields take the card's values.
      card: the config's, at its image size.
      planned: as `resolve` takes them.

    Raises:
      UserError: as `resolve`, but for what only the data can say; images of a size that
        the model does not take.
    """
    spec = parse_spec(config.initialization)
    if spec.needs_donor and config.donor is None:
        raise UserError(
            f"--initialization={config.initialization} needs --donor: imagenet, a "
            "weight file, a run directory, or a data set such as drawn_textures"
        )
    metric, chosen_by = _metrics(config, card)
    augmentation = config.augmentation
    if augmentation is None:
        augmentation = dataclasses.asdict(card.augmentation)
    donor_weights = None
    if config.donor is not None and spec.scheme != "random":
        donor_weights = donor_fingerprint(config.donor, planned)
    model = parse_model_name(config.model)
    check_image_size(model.architecture, *[card.image_size] * 2)
    units = _units(config)
    _check_pixels(config, units)
    return config.replace(
        model=str(model),
        batch_norm_momentum=_batch_norm_momentum(config),
        batch_norm_images=_batch_norm_images(config),
        initialization=str(spec),
        image_size=card.image_size,
        eval_every=_eval_every(config),
        metric=metric,
        early_stopping_metric=chosen_by,
        head=config.head or card.labels.head,
        augmentation=augmentation,
        donor=config.donor if donor_weights else None,
        donor_weights=donor_weights,
        pixel_units=units if config.input_scaling else None,
    )


def with_own_epochs(config: RunConfig, examples: int) -> RunConfig:
    """As many epochs, where lengths are counted in them, of so many training images.

    The last batch of an epoch may be smaller, and counts as a step.
    """
    counted = config.steps_per_epoch
    if counted is None:
        return config
    own = -(-examples // config.batch_size)
    lengths = {
        name: max(1, round(getattr(config, name) * own / counted))
        for name in ("steps", "eval_every", "head_steps")
        if getattr(config, name)
    }
    return config.replace(steps_per_epoch=own, **lengths)


def _batch_norm_momentum(config: RunConfig) -> float | None:
    """As asked for; of a short run, one that forgets the start in a tenth of it."""
    given = config.batch_norm_momentum
    architecture = ARCHITECTURES[parse_model_name(config.model).architecture]
    if given is not None:
        return given
    momenta = [
        momentum
        for steps, momentum in _SHORT_RUNS.items()
        if config.steps < steps and momentum < architecture.batch_norm_momentum
    ]
    return momenta[0] if momenta else None


def _batch_norm_images(config: RunConfig) -> int | None:
    """As asked for; of a short run with slow batch norm, some."""
    given = config.batch_norm_images
    architecture = ARCHITECTURES[parse_model_name(config.model).architecture]
    if given is not None or not architecture.batch_norm_momentum:
        return given
    return _SETTLING_IMAGES if 0 < config.steps < _SETTLED_STEPS else None


def _eval_every(config: RunConfig) -> int:
    """As asked for; where that is past the last step, five times in all."""
    if config.eval_every <= config.steps:
        return config.eval_every
    return max(1, config.steps // 5)


def _metrics(config: RunConfig, card: DatasetCard) -> tuple[str, str | None]:
    """The metric, and what the weights are chosen by if it is another one."""
    metric = config.metric or card.metric
    _check_metric(metric, card, METRICS)
    chosen_by = config.early_stopping_metric
    if chosen_by is not None:
        _check_metric(chosen_by, card, ("loss", *METRICS))
    return metric, None if chosen_by == metric else chosen_by


def _units(config: RunConfig) -> str:
    """What a run's weights get, but for standardising by the data's own statistics."""
    if config.input_scaling == STANDARD_UNITS:
        return STANDARD_UNITS
    return config.pixel_units or _own_units(parse_model_name(config.model))


def _own_units(model: ModelSpec) -> str:
    return model.input_scaling or ARCHITECTURES[model.architecture].input_scaling


def _check_pixels(config: RunConfig, units: str) -> None:
    """Raises UserError where ImageNet's published weights would get other pixels."""
    own = _own_units(parse_model_name(config.model))
    random = parse_spec(config.initialization).scheme == "random"
    if config.donor == "imagenet" and units != own and not random:
        raise UserError(
            f"--input_scaling={config.input_scaling}, but the weights of "
            f"--donor=imagenet for {config.model} expect {own}: leave it out"
        )


def _pixel_statistics(
    config: RunConfig, prepared: PreparedDataset
) -> Mapping[str, list[float]] | None:
    if config.input_scaling != DATASET_MEAN_STD:
        return None
    return config.pixel_statistics or pixel_statistics(prepared, config.train_examples)


def _check_metric(metric: str, card: DatasetCard, valid: Collection[str]) -> None:
    if metric not in valid:
        raise one_of("metric", metric, valid)
    kinds = _METRIC_KINDS.get(metric)
    if kinds and card.labels.kind not in kinds:
        raise UserError(
            f"metric {metric} is for labels of kind {' or '.join(kinds)}, but those of "
            f"{card.name} are of kind {card.labels.kind}: use mean_auc"
        )


def card_of(config: RunConfig) -> DatasetCard:
    """The card that the config names, with the config's image size, aspect and crop.

    Raises:
      UserError: no such card, or an augmentation that can't be.
    """
    card = load_card(config.dataset, config.source)
    if config.image_size is not None:
        card = card.replace(image_size=config.image_size)
    if config.aspect is not None:
        card = card.replace(aspect=config.aspect)
    if config.augmentation is None:
        return card
    # What is stored is so much larger than the input.
    crop = augmentation_of(config).random_crop
    augmentation = dataclasses.replace(card.augmentation, random_crop=crop)
    return card.replace(augmentation=augmentation)


def in_fold_of(config: RunConfig, prepared: PreparedDataset) -> PreparedDataset:
    """The data set with the splits of the config's fold, or the card's."""
    return prepared.in_fold(config.fold, config.folds, config.fold_protocol)


def augmentation_of(config: RunConfig) -> Augmentation:
    """The resolved config's augmentation as the card's data class.

    Raises:
      UserError: a value is unknown or out of range.
    """
    values = config.augmentation or {}
    return checked(Augmentation, values, "the run's configuration", "augmentation")


def donor_fingerprint(donor: str, planned: Collection[str] = ()) -> str:
    """What tells one donor's weights from another's.

    A run's is its id, which stands before it is trained; `planned` names the run
    directories of which this is enough.

    Raises:
      UserError: neither `imagenet`, nor a weight file, a KerasHub preset's folder or
        a finished run.
    """
    if donor == "imagenet":
        return "imagenet"
    path = Path(donor)
    if donor in planned:
        return path.name
    if is_preset(path):
        return preset_fingerprint(path)
    if path.is_dir():
        directory = RunDirectory(path)
        directory.config()  # Raises where it is no run directory.
        if not directory.finished():
            raise UserError(f"donor run {path} is not finished; run it to its end")
        return path.name
    if not path.is_file():
        raise UserError(
            f"no donor {donor!r}: it should be imagenet, a weight file (.weights.h5, "
            ".h5, .keras, .pth), the folder of a run or of a KerasHub preset, or a "
            "data set's name such as drawn_textures"
        )
    return files.sha256(path)[:16]


def donor_file(donor: str) -> str:
    """The weights to load: a run directory's best, else the donor itself."""
    path = Path(donor)
    if not path.is_dir() or is_preset(path):
        return donor
    directory = RunDirectory(path)
    return str(directory.intact(directory.best_weights))


def donor_input_scaling(donor: str) -> str | None:
    """The pixels that a donor run's model takes; None where the file can't say."""
    path = Path(donor)
    if not path.is_dir() or is_preset(path):
        return None
    return input_scaling_of_run(RunDirectory(path).config())


def input_scaling_of_run(config: RunConfig) -> str:
    """The pixels that a run's model gives its weights, as its scaling layer says it."""
    units = _units(config)
    if config.input_scaling == DATASET_MEAN_STD:
        return dataset_scaling_name(units)
    return units
