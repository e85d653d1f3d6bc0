"""From a study to the runs that it comes to: resolved, each once, on their donors."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras

from transfusion_tf.initialization import (
    InitializationReport,
    parse_spec,
    plan_tensors,
)
from transfusion_tf.models import build, freeze_through
from transfusion_tf.studies.chapters import fit_to_data
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.donor_runs import (
    check_that_donors_differ,
    is_dataset,
    pretraining_run,
    with_donor_card,
)
from transfusion_tf.studies.schedule import PlannedRun
from transfusion_tf.studies.study_declaration import Study
from transfusion_tf.training import RunConfig
from transfusion_tf.training.resolved_config import answered, card_of
from transfusion_tf.training.weights import initialize_run


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a study comes to.

    Attributes:
      study: without what its data sets are too small for.
      configs: resolved, of its runs, by run id, in the order in which they stand in it.
      donors: resolved, of the runs that are pretrained for it, by run id.
      stands_on: run id -> run id of the donor that is pretrained for it.
      run_ids: of all configs as they stand in the study.
    """

    study: Study
    configs: Mapping[str, RunConfig]
    donors: Mapping[str, RunConfig]
    stands_on: Mapping[str, str]
    run_ids: Mapping[RunConfig, str]

    def of(self, run_ids: Iterable[str]) -> list[PlannedRun]:
        """These runs with the donors that they stand on, each once, donors first."""
        planned: dict[str, PlannedRun] = {}
        for run_id in run_ids:
            donor = self.stands_on.get(run_id)
            if donor is not None:
                planned.setdefault(donor, PlannedRun(donor))
            planned.setdefault(run_id, PlannedRun(run_id, donor))
        return list(planned.values())


def plan_study(study: Study, runs: Path, data_sets: DataSets) -> Plan:
    """Resolves a study's runs, and those of its donors, before any of them is trained.

    Args:
      study: as it was asked for.
      runs: the folder of the runs' folders.
      data_sets: opens the data sets, which are prepared if need be.

    Raises:
      UserError: what would fail later: bad data, an unknown model, scheme or stage, a
        donor that is not there.
    """
    check_before_data(study.runs)
    study = _fitted(study, data_sets)
    donors: dict[RunConfig, RunConfig] = {}
    configs: dict[str, RunConfig] = {}
    stands_on: dict[str, str] = {}
    run_ids: dict[RunConfig, str] = {}
    for asked in study.runs:
        config, donor_folder = asked, None
        if wants_pretraining(asked):
            pretraining = pretraining_run(asked)
            if pretraining not in donors:
                donors[pretraining] = data_sets.resolve(pretraining)
            donor_folder = str(runs / donors[pretraining].run_id)
            config = asked.replace(donor=donor_folder)
        elif is_dataset(asked.donor):
            config = asked.replace(donor=None)
        planned = () if donor_folder is None else (donor_folder,)
        resolved = data_sets.resolve(with_donor_card(config), planned)
        configs[resolved.run_id] = resolved
        run_ids[asked] = resolved.run_id
        if donor_folder is not None:
            stands_on[resolved.run_id] = Path(donor_folder).name
    by_id = {donor.run_id: donor for donor in donors.values()}
    return Plan(study, configs, by_id, stands_on, run_ids)


def wants_pretraining(config: RunConfig) -> bool:
    """Whether the run starts from a donor that is made here."""
    return is_dataset(config.donor) and parse_spec(config.initialization).scheme != (
        "random"
    )


def _fitted(study: Study, data_sets: DataSets) -> Study:
    """A paper's study without what its data sets are too small for."""
    if not study.after_paper:
        return study
    available = {}
    for config in study.runs:
        bare = config.replace(donor=None, initialization="random", train_examples=None)
        data_sets.resolve(bare)
        available[config] = len(data_sets.of(bare).examples("train", None))
    return fit_to_data(study, available)


def check_before_data(
    configs: Iterable[RunConfig], *, with_models: bool = True
) -> None:
    """Raises UserError for what would fail, whatever the data are.

    Unknown cards, models, metrics, schemes, stages and points of slimming; data whose
    folder is not there; images of a size that a model does not take; donors that are
    missing or do not fit.

    Args:
      configs: as they were asked for.
      with_models: whether models are built where that is what tells; it computes, which
        workers of one training must not before they have found each other.
    """
    # What costs nothing comes first: weights may have to be downloaded.
    found: dict[RunConfig, RunConfig] = {}
    # As they were asked for: two donor cards may name one file.
    stands_for: dict[RunConfig, RunConfig] = {}
    for asked in configs:
        bare = asked.replace(seed=0, fold=None)
        config = stands_for[bare] = with_donor_card(bare)
        if config in found:
            continue
        own = config
        if is_dataset(config.donor):
            if wants_pretraining(config):
                _answered(pretraining_run(config))
            own = config.replace(donor=None, initialization="random")
        found[config] = _answered(own)
    if with_models:
        reports = {
            config: _check_model(own, config.initialization)
            for config, own in found.items()
        }
        keras.backend.clear_session()
        check_that_donors_differ(
            (bare, report)
            for bare, config in stands_for.items()
            if (report := reports[config]) is not None
        )


def _answered(config: RunConfig) -> RunConfig:
    """See `answered`; raises UserError where the folder of the data is not there."""
    card = card_of(config)
    card.data_folder()
    return answered(config, card)


def _check_model(config: RunConfig, initialization: str) -> InitializationReport | None:
    """As `check_before_data`, of a config whose donor, if any, is there already."""
    spec = parse_spec(initialization)
    report = None
    if not (spec.through or config.freeze or config.donor or "[" in config.model):
        return report
    # Where GPUs are, they are left to what trains.
    with keras.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They come again with the run.
        size = int(config.image_size or 0)
        model = build(config.model, (size, size, 3), 1)
        plan_tensors(model, spec)
        if config.donor:
            report = initialize_run(model, config)
        if config.freeze:
            freeze_through(model, config.freeze)
    return report
