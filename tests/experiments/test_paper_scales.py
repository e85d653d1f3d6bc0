"""What the scales of all papers have in common."""

import pytest
from models.test_stages import EXPECTED

from transfusion_tf.errors import UserError
from transfusion_tf_experiments import named_studies
from transfusion_tf_experiments.papers import feature_reuse, transfusion
from transfusion_tf_experiments.papers.protocol import NOT_IN_PAPER
from transfusion_tf_experiments.papers.scale import STAGES, make_scale, stages_of


# That models have these stages is tested in `models.test_stages`.
def test_stages_are_those_of_the_models():
    assert {name: [*stages] for name, stages in STAGES.items()} == {
        name: EXPECTED[name] for name in STAGES
    }


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


def test_every_value_of_a_papers_study_comes_with_its_source():
    rows = {
        (row["where"], row["name"]): (row["value"], row["source"])
        for row in named_studies.make("transfusion/all").protocol
    }
    retina, chest = "retina: retina_eyepacs_all", "chest: chexpert"
    assert rows[retina, "learning_rate"] == ("0.001", "appendix A")
    assert rows[chest, "learning_rate"] == ("0.0125", "appendix A")
    assert rows[retina, "image_size"] == ("587", "section 2")
    assert rows[retina, "augmentation.hue"] == ("0.02", NOT_IN_PAPER)
    assert rows["figure17", "repetitions"] == ("5", "figure 17")
    # A donor is trained here too, by a recipe of its own.
    assert rows["donor: imagenet2012", "batch_size"] == ("256", "appendix A")
    assert rows["donor: imagenet2012", "steps"] == ("490 400", NOT_IN_PAPER)
    # What the paper does not name, and nothing here switches on.
    assert rows[retina, "xla"] == ("no", NOT_IN_PAPER)


def test_what_has_no_source_and_no_reason_is_off():
    rows = named_studies.make("transfusion/all").protocol
    bare = {
        row["value"]
        for row in rows
        if row["source"] == NOT_IN_PAPER and not row["text"]
    }
    assert bare == {"none", "nothing", "all", "no", "0"}


def test_what_the_paper_leaves_open_and_the_command_line_says_are_told_apart():
    asked = {"learning_rate": 0.01}
    study = named_studies.make("transfusion/table1", changes=asked, seeds=2)
    rows = {row["name"]: (row["value"], row["source"]) for row in study.protocol[:-30]}
    assert rows["learning_rate"] == ("0.01", "command line")
    assert rows["repetitions"] == ("2", "command line")
    assert rows["optimizer"] == ("adam", "appendix A")
    (line,) = (text for text in study.not_in_paper if "hue = 0.02 (retina" in text)
    assert line == (
        "augmentation.hue = 0.02 (retina: retina_eyepacs_all): appendix A says hue, "
        "and not how far"
    )
    assert not any("learning_rate = 0.01" in text for text in study.not_in_paper)


@pytest.mark.parametrize("paper", ["transfusion", "hidden_representations"])
def test_another_measure_of_similarity_is_named_wherever_it_is_read(paper):
    ours, theirs = (
        named_studies.make(f"{paper}/all", "smoke", similarity_measure=measure)
        for measure in ("svcca", None)
    )
    texts = [claim.effect for claim in ours.claims]
    texts += [chapter.text for chapter in ours.chapters]
    assert sum("SVCCA" in text for text in texts) > 5
    assert not [text for text in texts if "CCA" in text.replace("SVCCA", "")]
    units = [(a.unit, b.unit) for a, b in zip(ours.claims, theirs.claims, strict=True)]
    assert ("SVCCA", "CCA") in units
    assert {a for a, b in units if b == "CCA"} == {"SVCCA"}
    # What the papers print are CCAs.
    assert all(claim.published is None for claim in ours.claims if "CCA" in claim.unit)
    rows = [row for row in ours.protocol if row["name"] == "similarity_measure"]
    assert {(row["value"], row["source"]) for row in rows} == {
        ("svcca", "command line")
    }


def test_a_measure_of_similarity_is_refused_where_stages_are_not_compared():
    with pytest.raises(UserError, match="similarity_measure"):
        named_studies.make("feature_reuse/all", "smoke", similarity_measure="svcca")


def test_values_of_a_users_own_card_are_not_said_to_be_the_papers():
    study = named_studies.make("transfusion/table1", dataset="phantom_retina_64")
    sources = {
        row["name"]: row["source"] for row in study.protocol if "64" in row["where"]
    }
    assert sources["image_size"] == sources["splits"] == "command line"
    assert sources["augmentation.hue"] == "command line"
    assert sources["optimizer"] == "appendix A"


def test_values_chosen_for_drawn_data_are_called_so():
    rows = named_studies.make("transfusion/table1", "small").protocol
    assert {row["source"] for row in rows} == {"this scale"}
