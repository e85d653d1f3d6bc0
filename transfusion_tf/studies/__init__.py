"""Many runs with one question, cached by content, resumable."""

from transfusion_tf.studies.donors import pretraining_run
from transfusion_tf.studies.runner import StudyResult, run_study
from transfusion_tf.studies.study import Study, grid

__all__ = ["Study", "StudyResult", "grid", "pretraining_run", "run_study"]
