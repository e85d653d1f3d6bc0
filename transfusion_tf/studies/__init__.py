"""Many runs with one question, cached by content, resumable."""

from transfusion_tf.studies.donor_runs import pretraining_run
from transfusion_tf.studies.engines.execution import Execution
from transfusion_tf.studies.own_chapters import own_chapters
from transfusion_tf.studies.runner import StudyResult, run_study, train_with_donor
from transfusion_tf.studies.shard import Shard
from transfusion_tf.studies.study_declaration import Chapter, Study, grid, split_names
from transfusion_tf.studies.study_folder import (
    ChapterRecord,
    Run,
    StudyRecord,
    Unfinished,
    read_study,
)

__all__ = [
    "Chapter",
    "ChapterRecord",
    "Execution",
    "Run",
    "Shard",
    "Study",
    "StudyRecord",
    "StudyResult",
    "Unfinished",
    "grid",
    "own_chapters",
    "pretraining_run",
    "read_study",
    "run_study",
    "split_names",
    "train_with_donor",
]
