"""From what the user named to a comparison's page."""

import dataclasses
import datetime
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.errors import UserError
from transfusion_tf.files import require_writable
from transfusion_tf.report import (
    Comparison,
    FirstLayer,
    Side,
    score_text,
    write_comparison,
)
from transfusion_tf.report.wording import count, metric_unit, number
from transfusion_tf.representations import (
    RepresentationWarning,
    Sampling,
    Settings,
    compare_stage_pairs,
    over_repeats,
)
from transfusion_tf.representations.batch_norm_statistics import (
    MOST_IMAGES,
    estimate_statistics,
)
from transfusion_tf.representations.similarity_by_stage import compare_pair
from transfusion_tf.representations.snapshots import Snapshot, check_image_sizes
from transfusion_tf.studies.measurements.image_sources import FolderImages
from transfusion_tf.studies.measurements.run_images import (
    check_same_data,
    held_out_images,
    run_split,
)
from transfusion_tf.studies.measurements.run_labels import run_names
from transfusion_tf.training import RunDirectory
from transfusion_tf.training.provenance import commit, versions
from transfusion_tf_experiments.model_sources import Source, find, labels

_LONGEST_NAME = 120


@dataclasses.dataclass(frozen=True)
class Request:
    """The flags' values; see `compare.py`."""

    root: str
    data_root: str | None
    images: str | None
    out: str | None
    points: int
    channels: int
    repeats: int
    seed: int
    batch_size: int
    pooled: bool
    trained_weights: str
    batch_norm_statistics: str
    stages: tuple[str, ...] | None
    command: str

    @property
    def settings(self) -> Settings:
        """How models are compared."""
        if self.channels < 0:
            raise UserError(f"--channels should be 0 or more, got {self.channels}")
        return Settings(
            stages=self.stages,
            sampling=Sampling(self.points, self.channels or None, self.pooled),
            repeats=self.repeats,
            seed=self.seed,
            batch_size=self.batch_size,
        )


def compare(names: Sequence[str], request: Request) -> tuple[Path, str, list[str]]:
    """Compares one run before and after training, or two models.

    Returns:
      The page, its table as text, and the warnings that go with it.

    Raises:
      UserError: See `transfusion-compare --help` for what is right.
    """
    settings = request.settings
    sources = [find(name, request.root) for name in names]
    if len(sources) == 1 and sources[0].run is None:
        raise UserError(
            f"{names[0]} is one model; give a second .keras file, or a run, which "
            "has weights of before and after training"
        )
    folder = _out_folder(sources, request)
    require_writable(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RepresentationWarning)
        models, sides = _models(sources, request.trained_weights)
        images = _images(sources, models, request)
        if request.batch_norm_statistics == "estimated":
            seen = _training_images(sources, request) or images
            models = [estimate_statistics(model, seen) for model in models]
        scores = compare_pair(models[0], models[1], images, settings)
        pairs = compare_stage_pairs(
            models[0],
            models[1],
            images,
            stages=settings.stages,
            pooled=request.pooled,
            seed=request.seed,
            batch_size=request.batch_size,
        )
    notes = _notes(caught)
    comparison = Comparison(
        title=_title(sources),
        sides=sides,
        one_run=len(sources) == 1,
        scores=scores,
        stage_pairs=pairs,
        first_layers=_first_layers(sources, request.trained_weights),
        settings=_facts_of_settings(settings, images) + _facts_of_models(request),
        notes=tuple(notes),
        command=request.command,
        versions=versions() | ({"commit": commit()} if commit() else {}),  # type: ignore[arg-type]
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    page = write_comparison(comparison, folder)
    return page, score_text(over_repeats(scores)), notes


def _models(
    sources: Sequence[Source], trained: str
) -> tuple[list[Snapshot], tuple[Side, Side]]:
    if len(sources) == 1:
        run = sources[0].run
        assert run is not None
        facts = _run_facts(run)
        name = run.path.absolute().name
        step = count(run.status().get("step" if trained == "final" else "best_step"))
        before = (("step", "0"), *facts[:3])
        after = (("step", f"{step} of {count(run.config().steps)}"), *facts[4:])
        kept = run.initial_weights
        made = "from its seed and donor"
        initial = f"{name}/{kept.name}" if kept.exists() else f"{name}, {made}"
        sides = (
            Side("before training", initial, before),
            Side("after training", f"{name}/{run.weights_file(trained).name}", after),
        )
        return [sources[0].model(w) for w in ("initial", trained)], sides
    run_names([source.path for source in sources])  # Raises where both are one.
    models = [source.model(trained) for source in sources]
    first, second = sources
    names = labels(sources)
    check_image_sizes(dict(zip(names, models, strict=True)))
    return models, (
        Side(names[0], first.place, _run_facts(first.run)),
        Side(names[1], second.place, _run_facts(second.run)),
    )


def _images(
    sources: Sequence[Source], models: Sequence[Snapshot], request: Request
) -> Any:
    if request.images:
        height, width = models[0].model.input_shape[1:3]
        if None in (height, width):
            raise UserError(
                f"the input size of {sources[0].path} is open: save it with a fixed "
                "one, such as keras.Input((224, 224, 3))"
            )
        return FolderImages(request.images, height, width)
    runs = [source.run.path for source in sources if source.run is not None]
    if not runs:
        raise UserError("two .keras files need --images=FOLDER to be compared on")
    check_same_data(runs)
    data_root = request.data_root or str(Path(request.root) / "data")
    images = held_out_images(runs[0], data_root)
    shape = models[0].model.input_shape[1:3]
    if shape != images.shape[1:3]:
        raise UserError(
            f"{sources[0].path} takes images of {shape}, the run's are "
            f"{images.shape[1:3]}: give others by --images"
        )
    return images


def _training_images(sources: Sequence[Source], request: Request) -> Any:
    """The first run's, where its data are compared on; None stands for those."""
    runs = [source.run.path for source in sources if source.run is not None]
    if request.images or not runs:
        return None
    return run_split(runs[0], request.data_root or f"{request.root}/data", "train")


def _run_facts(run: RunDirectory | None) -> tuple[tuple[str, str], ...]:
    if run is None:
        return ()
    config, status, dataset = run.config(), run.status(), run.dataset()
    facts = [
        ("model", config.model),
        ("weights from", config.initialization),
        ("seed", str(config.seed)),
        ("best step", f"{count(status.get('best_step'))} of {count(config.steps)}"),
        ("trained on", dataset.get("title") or dataset["name"]),
    ]
    metric = config.metric or dataset["metric"]
    for split in ("validation", "test"):
        value = (status.get(split) or {}).get(metric)
        if value is not None:
            facts.append((f"{split} {metric_unit(metric)}", number(value)))
    return tuple(facts)


def _title(sources: Sequence[Source]) -> str:
    if len(sources) == 1:
        return f"What training changed in {sources[0].title}"
    first, second = labels(sources)
    return f"How alike are the representations of {first} and {second}?"


def _first_layers(sources: Sequence[Source], trained: str) -> tuple[FirstLayer, ...]:
    names = labels(sources)
    layers = []
    for name, source in zip(names, sources, strict=True):
        run = source.run
        if run is None or not (run.path / "first_layer.npz").is_file():
            continue
        initialization = run.config().initialization
        label = initialization if len(sources) == 1 else name
        layers.append(FirstLayer(label, initialization, *run.first_layer(trained)))
    return tuple(layers)


def _facts_of_settings(settings: Settings, images: Any) -> tuple[tuple[str, str], ...]:
    sampling = settings.sampling
    points = "images" if sampling.pooled else "points"
    channels = "all" if sampling.channels is None else count(sampling.channels)
    return (
        ("Images", f"{images.description}: {count(len(images))}"),
        (
            "Sampling",
            f"{count(sampling.points)} {points} and {channels} channels a stage, "
            f"{settings.repeats} repeats, seed {settings.seed}"
            + (", averaged over positions" if sampling.pooled else ""),
        ),
    )


def _facts_of_models(request: Request) -> tuple[tuple[str, str], ...]:
    if request.batch_norm_statistics == "stored":
        statistics = "as stored with each model"
    else:
        on = "images compared on" if request.images else "training images"
        statistics = f"estimated alike for both on up to {MOST_IMAGES} {on}"
    weights = "last" if request.trained_weights == "final" else "best on validation"
    return (("Weights after training", weights), ("Batch norm statistics", statistics))


def _notes(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """The first warning of each kind, as a sentence; kinds differ in their words."""
    kinds: dict[str, list[str]] = {}
    for item in caught:
        if issubclass(item.category, RepresentationWarning):
            text = str(item.message)
            kinds.setdefault(re.sub(r"[\d.]+", "", text), []).append(text)
    notes = []
    for texts in kinds.values():
        more = len(set(texts)) - 1
        text = texts[0][:1].upper() + texts[0][1:].rstrip(".") + "."
        notes.append(text + f" ({more} more like this.)" * (more > 0))
    return notes


def _out_folder(sources: Sequence[Source], request: Request) -> Path:
    if request.out:
        return Path(request.out).absolute()
    name = "_vs_".join(source.path.absolute().name for source in sources)
    name = re.sub(r"[^\w.-]+", "-", name)[:_LONGEST_NAME]
    return Path(request.root).absolute() / "comparisons" / name
