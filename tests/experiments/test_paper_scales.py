"""What the scales of all papers have in common."""

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf_experiments.papers import feature_reuse, transfusion
from transfusion_tf_experiments.papers.scale import STAGES, make_scale, stages_of

# Whose families are looked at in smaller models.
LARGE = ("deit_s", "deit_b", "swin_t", "resnet50", "resnet152")


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=pytest.mark.exhaustive) if name in LARGE else name
        for name in STAGES
    ],
)
def test_stages_are_those_of_the_models(weightless_model, model):
    from transfusion_tf.models import stages
    from transfusion_tf.models.architectures import smallest_size

    built = weightless_model(model, max(64, smallest_size(model)))
    assert tuple(stage.name for stage in stages(built)) == STAGES[model]


def test_a_model_cut_to_its_first_blocks_has_their_stages_alone():
    assert stages_of("deit_s[blocks=2]") == ("patch_embed", "block1", "block2")


def test_an_unknown_scale_is_an_error_that_lists_those_there_are():
    with pytest.raises(UserError, match="paper, small, smoke"):
        make_scale(transfusion.SCALES, "tiny")


def test_one_value_of_a_field_sets_others_and_the_command_line_sets_them_all():
    scale = feature_reuse.SCALES["small"]()

    def optimizers(scale):
        runs = scale.runs(("skin",), ("deit_mini", "cbr_tiny"), ("random",), seeds=1)
        return [(run.optimizer, run.weight_decay, run.learning_rate) for run in runs]

    # Random weights have twice the rate.
    assert optimizers(scale) == [("adamw", 0.01, 1.6e-3), ("adam", 0.0, 1e-3)]
    decayed = scale.with_changes({"weight_decay": 0.1, "learning_rate": 1e-4})
    assert optimizers(decayed) == [("adamw", 0.1, 2e-4), ("adam", 0.1, 2e-4)]
