"""Chapters fitted to the data at hand, and as the report reads them."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.studies.comparison_tables import compare_runs_of
from transfusion_tf.studies.study_declaration import Chapter, Study
from transfusion_tf.training import RunConfig, RunDirectory


def fit_to_data(study: Study, available: Mapping[RunConfig, int]) -> Study:
    """Leaves out runs that want more training images than there are, and says so.

    Args:
      study: whose chapters may ask for any number of images.
      available: training images of each run's data set.
    """

    def fits(config: RunConfig) -> bool:
        return (config.train_examples or 0) <= available[config]

    chapters = []
    for chapter in study.chapters:
        left_out: dict[int, RunConfig] = {
            config.train_examples: config
            for config in chapter.runs
            if config.train_examples and not fits(config)
        }
        notes = tuple(
            f"{size:,} training images are impossible, and left out: {config.dataset} "
            f"has {available[config]:,}."
            for size, config in sorted(left_out.items())
        )
        chapters.append(
            dataclasses.replace(
                chapter,
                runs=tuple(filter(fits, chapter.runs)),
                notes=chapter.notes + notes,
            )
        )
    return dataclasses.replace(
        study, runs=tuple(filter(fits, study.runs)), chapters=tuple(chapters)
    )


def chapter_records(
    chapters: Sequence[Chapter],
    run_ids: Mapping[RunConfig, str],
    waiting: Collection[str],
    root: Path,
    data_root: str | Path,
    *,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """What `study.json` says of each chapter; computes its analyses if need be.

    Args:
      chapters: of the study.
      run_ids: of all its configs, as they stand in the chapters.
      waiting: ids of runs that other processes have yet to finish: what is to be
        compared with them is not compared yet.
      root: with `runs/` in it.
      data_root: where prepared data lie.
      progress: whether to show progress bars.
    """
    records = []
    for chapter in chapters:
        ids = list(dict.fromkeys(run_ids[config] for config in chapter.runs))
        values = dataclasses.asdict(chapter) | {"runs": ids, "analyses": {}}
        if not set(ids) & set(waiting):
            runs = [RunDirectory(root / "runs" / run_id) for run_id in ids]
            finished = [run for run in runs if run.finished()]
            values["analyses"], said = compare_runs_of(
                chapter, finished, root, data_root, progress=progress
            )
            values["notes"] = (*chapter.notes, *said)
        records.append(values)
    return records
