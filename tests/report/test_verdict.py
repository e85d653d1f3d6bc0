import dataclasses
import json
import re

import pandas as pd
import pytest
from planted_study import Plant

from transfusion_tf.evaluation.estimator import estimate_mean
from transfusion_tf.report import collect, reach_verdict
from transfusion_tf.report.judged_differences import Case, call_together, item, judge
from transfusion_tf.report.next_steps import shown_command
from transfusion_tf.report.verdict import multiplicity_caveats
from transfusion_tf.report.verdict_cases import SPEED_MARGIN
from transfusion_tf.report.wording import number, signed, without_folders
from transfusion_tf.studies import read_study
from transfusion_tf.training import RunDirectory

VALIDATION = "validation/referable_auc"
MARGIN = 0.02  # of AUC


def verdict(study):
    return reach_verdict(collect(read_study(study.write())))


def answer(verdict, start):
    (found,) = [a for a in verdict.answers if a.question.startswith(start)]
    return found


def text(answer):
    return " ".join(answer.sentences)


def test_a_clear_gain_is_called_help_with_its_interval(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    found = verdict(study)
    assert found.headline.startswith("Transfer helps here: +0.")
    assert found.tone == "yes"
    help_ = answer(found, "Does transfer help")
    assert help_.word == "Yes"
    assert "95 % interval +0." in text(help_)
    assert "3 seeds" in text(help_)


def test_a_clear_loss_is_called_harm(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(2.0), "transfer": plant(1.0)})
    found = verdict(study)
    assert found.headline.startswith("Transfer hurts here: −0.")
    assert answer(found, "Does transfer help").word == "No, it hurts"


def test_equal_results_with_tight_intervals_are_called_no_difference(study, plant):
    same = plant(1.5, 60, 0.001)
    study.grid(["cbr_tiny"], {"random": same, "transfer": same})
    found = verdict(study)
    assert found.headline.startswith("Transfer makes no difference here")
    assert "less than 0.02 AUC either way" in found.headline
    assert answer(found, "Does transfer help").word == "No difference"


def test_a_wide_interval_is_not_called(study, plant):
    plants = {"random": plant(1.5, 60, 0.4), "transfer": plant(1.6, 60, 0.4)}
    study.grid(["cbr_tiny"], plants)
    found = verdict(study)
    assert found.headline == "These runs cannot tell whether transfer helps."
    assert found.tone == "open"
    help_ = answer(found, "Does transfer help")
    assert help_.word == "Cannot tell"
    assert "more seeds would narrow it" in text(help_)


def test_faster_training_with_an_equal_end_is_called_speed_only(study, plant):
    slow, fast = plant(1.5, 50, 0.001), plant(1.5, 12, 0.001)
    study.grid(["cbr_tiny"], {"random": slow, "transfer": fast})
    found = verdict(study)
    assert found.headline == "Transfer only speeds training up here."
    speed = answer(found, "Is training only faster")
    assert speed.word == "Faster only"
    said = text(speed)
    assert "reaches a validation AUC of" in said
    # What is said in words is the ratio of the steps that are said.
    times = re.search(
        r"faster than random weights: ([\d.]+) times as fast \(95 %", said
    )
    random, transfer = map(
        int, re.search(r": (\d+) from random, (\d+) ", said).groups()
    )
    assert float(times[1]) == pytest.approx(random / transfer, rel=0.02)


def test_speed_is_at_least_so_much_where_random_weights_do_not_all_get_there(
    study, plant
):
    study.grid(["cbr_tiny"], {"random": plant(1.5, 50, 0.001)}, seeds=(0, 1))
    study.grid(["cbr_tiny"], {"random": plant(1.5, 160, 0.001)}, seeds=(2,))
    study.grid(["cbr_tiny"], {"transfer": plant(1.5, 12, 0.001)})
    speed = text(answer(verdict(study), "Is training only faster"))
    assert re.search(r"at least \d\.\d\d times as fast", speed)
    assert re.search(r"at least \d+ from random \(2 of 3 seeds get there\)", speed)


def edit_curves(study, change):
    """Rewrites the evaluations of every run: `change(run id, lines)`."""
    for run in study.runs:
        path = study.root / "runs" / run / "metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        change(run, lines)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_start_that_never_learns_is_not_equally_fast(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.5, 60), "transfer": plant(1.5, 20)})

    def learn_late_or_never(run, lines):
        best = lines[-1][VALIDATION]
        late = 0.5 + 0.85 * (best - 0.5)
        for line in lines[:-1] if "random" in run else lines:
            line[VALIDATION] = min(line[VALIDATION], late)

    edit_curves(study, learn_late_or_never)
    speed = answer(verdict(study), "Is training only faster")
    assert "never from transfer" in text(speed)
    assert "equally fast" not in text(speed)
    assert speed.word == "Slower"


def test_a_model_whose_random_weights_never_get_there_has_no_speed(study, plant):
    plants = {"random": plant(1.5, 60), "transfer": plant(1.5, 20)}
    study.grid(["cbr_tiny", "cbr_small"], plants, test_curve=True)

    def drop_below_the_threshold(run, lines):
        drop = 0.06 if run.startswith("cbr_small-random") else 0.0
        for line in lines:
            line["test/referable_auc"] = line[VALIDATION] - drop

    edit_curves(study, drop_below_the_threshold)
    speed = text(answer(verdict(study), "Is training only faster"))
    assert re.search(r"cbr_small reaches .*: never from random, 3 of 3 seeds", speed)


def test_faster_training_with_an_open_end_claims_the_speed_only(study, plant):
    slow, fast = plant(1.5, 150, 0.25), plant(1.55, 10, 0.25)
    study.grid(["cbr_tiny"], {"random": slow, "transfer": fast})
    found = verdict(study)
    assert found.headline.startswith("Transfer speeds training up; whether it ends")
    assert answer(found, "Is training only faster").word == "Faster; the end is open"


def test_one_seed_never_settles_anything(study, plant):
    plants = {"random": plant(0.6), "transfer": plant(2.5), "mean_var": plant(1.0)}
    study.grid(["cbr_tiny", "cbr_small"], plants, seeds=(0,))
    found = verdict(study)
    assert "cannot tell" in found.headline
    assert "one seed" in found.headline
    assert {a.word for a in found.answers} <= {"Cannot tell", "No gain to explain"}
    assert any("One seed" in caveat for caveat in found.caveats)
    (step,) = found.next_steps
    assert step.command.endswith("--donor=photographs --seeds=3")


def test_two_seeds_have_no_interval(study, plant):
    plants = {"random": plant(0.6), "transfer": plant(2.5)}
    study.grid(["cbr_tiny"], plants, seeds=(0, 1))
    found = verdict(study)
    assert found.headline.endswith("two seeds each.")
    help_ = answer(found, "Does transfer help")
    assert help_.word == "Cannot tell"
    assert "(2 seeds, too few for an interval)" in text(help_)


def test_models_that_differ_are_named_in_the_headline(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    wide = {"random": plant(1.5, 60, 0.4), "transfer": plant(1.6, 60, 0.4)}
    study.grid(["cbr_small"], wide)
    found = verdict(study)
    assert found.headline.startswith("Transfer helps cbr_tiny (+0.")
    assert "; for cbr_small (" in found.headline
    assert found.headline.endswith("these runs cannot tell.")
    assert found.tone == "mixed"
    assert answer(found, "Does transfer help").word == "Yes, where decided"
    (step,) = found.next_steps
    seeds = int(
        re.search(r"About (\d+) seeds in all would settle cbr_small", step.text)[1]
    )
    assert seeds > 3
    assert step.command.endswith(f"--seeds={seeds}")


def test_one_model_that_is_hurt_and_one_that_is_open_are_not_in_part(study, plant):
    worse = {"random": plant(2.0, 60, 0.001), "transfer": plant(1.0, 60, 0.001)}
    study.grid(["cbr_tiny"], worse)
    wide = {"random": plant(1.5, 60, 0.4), "transfer": plant(1.6, 60, 0.4)}
    study.grid(["cbr_small"], wide)
    help_ = answer(verdict(study), "Does transfer help")
    assert (help_.word, help_.tone) == ("No, it hurts, where decided", "no")


def test_runs_at_chance_have_a_number_but_no_answer(planted_study, plant, tmp_path):
    study = planted_study(tmp_path, steps=4)
    plants = {"random": plant(0.02, 1, 0.05), "transfer": plant(0.3, 1, 0.05)}
    study.grid(["cbr_tiny"], plants, seeds=range(8))
    found = verdict(study)
    assert found.headline == "No answer: these runs have learned too little to compare."
    assert found.tone == "open"
    assert "+0.1" in found.subline
    assert "from random has learned nothing that can be compared" in found.warnings[0]
    words = {one.word for one in found.answers}
    assert words <= {"No answer", "Not asked"}
    assert "--steps=16" in found.next_steps[0].command


def test_runs_that_never_trained_are_named_and_not_called(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    for run in study.runs:
        if "transfer" in run:
            RunDirectory(study.root / "runs" / run).update_status(best_step=0)
    found = verdict(study)
    assert found.headline.startswith("No answer")
    (warning,) = found.warnings
    assert "3 of 3 runs never trained: of the first, its best weights" in warning


def test_a_donor_at_chance_is_named_and_its_transfer_not_called(study, plant):
    study.add_donor(Plant(0.0, seed_spread=0.0))
    donor = str(study.root / "runs" / study.donors[0])
    study.grid(["cbr_tiny"], {"random": plant(1.0)})
    study.grid(["cbr_tiny"], {"transfer": plant(2.0)}, donor=donor)
    found = verdict(study)
    assert found.headline == "No answer: the donor has learned too little to transfer."
    assert (
        "from transfer cannot show what transfer does: their donor is at chance"
        in (found.warnings[0])
    )
    (step,) = found.next_steps
    assert "--donor_steps=1200" in step.command
    assert re.search(r"Computing: about 1\d", step.text)


def test_two_runs_that_learned_nothing_are_to_be_longer_and_three(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path, steps=4)
    idle = plant(0.0, seed_spread=0.0)
    study.grid(["cbr_tiny"], {"random": idle, "transfer": idle}, seeds=(0, 1))
    (step,) = verdict(study).next_steps
    assert step.command.endswith("--steps=16 --seeds=3")
    assert "three seeds: fewer have no interval" in step.text


def test_fewer_than_ten_patients_of_a_side_give_no_answer(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path, patients=20)
    study.grid(["cbr_tiny"], {"random": plant(2.0), "transfer": plant(4.0)})
    found = verdict(study)
    assert "too few patients of a class" in found.headline
    assert "Too few test patients: 9 of moderate and up" in " ".join(found.warnings)


def test_two_perfect_starts_differ_by_nothing_that_has_an_interval(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(2.0), "transfer": plant(2.0)})
    for run in study.runs:
        file = study.root / "runs" / run / "predictions.parquet"
        outputs = pd.read_parquet(file)
        truth = outputs.filter(like="label/").to_numpy()
        outputs[outputs.filter(like="probability/").columns] = truth
        outputs.to_parquet(file)
    found = verdict(study)
    assert found.headline == "No answer: nothing sets these runs apart."
    assert found.tone == "open"


def test_curves_of_two_evaluations_make_no_speed(planted_study, plant, tmp_path):
    study = planted_study(tmp_path, steps=20)
    study.grid(["cbr_tiny"], {"random": plant(1.0, 9), "transfer": plant(2.0, 2)})
    speed = answer(verdict(study), "Is training only faster")
    assert speed.word == "Not asked"
    assert "fewer than 4 evaluations says nothing of speed" in text(speed)


def test_a_command_is_changed_in_one_flag_and_quoted():
    command = "transfusion-study --dataset='my data/card.toml' --seeds 3 --models=a,b"
    assert shown_command(command, "--seeds=12") == (
        "transfusion-study '--dataset=my data/card.toml' --models=a,b --seeds=12"
    )
    assert shown_command("", "--seeds=12") == ""


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("--root=workspace --seeds=3", "--seeds=3"),
        ("--root workspace", ""),
        ("--root=trials --data_root=../data", "--root=trials --data_root=../data"),
        ("-root trials", "--root=trials"),
        ("--root=/scratch/ann/runs", "--root=<runs>"),
        ("--root /scratch/ann/runs/", "--root=<runs>"),
        ("--dataset=/home/ann/scans/dataset.toml", "--dataset=<dataset.toml>"),
        ("--dataset '/home/ann/my scans'", "--dataset <'my scans'>"),
        ("--models='r[a=b,c=1]'", "'--models=r[a=b,c=1]'"),
        ("--donors=imagenet,/home/ann/a.h5", "--donors=imagenet,<a.h5>"),
    ],
)
def test_a_command_on_the_page_names_no_place_of_this_machine(typed, shown):
    command = shown_command(f"transfusion-study {typed}")
    assert command == f"transfusion-study {shown}".strip()


def test_messages_on_the_page_keep_the_last_part_of_a_path():
    said = "/home/ann/runs/a-1/state: disk full; see '/tmp/x y' or 1/2 of ../data/b"
    assert without_folders(said) == (
        ".../state: disk full; see '.../x y' or 1/2 of ../data/b"
    )


def test_what_rounds_to_zero_has_no_sign():
    assert [signed(-0.0004), signed(0.0004), number(-0.0004)] == ["0.000"] * 3
    assert [signed(-0.0006), signed(0.0006)] == ["−0.001", "+0.001"]


def test_a_gain_above_mean_var_is_more_than_statistics(study, plant):
    plants = {"random": plant(1.0), "transfer": plant(2.2), "mean_var": plant(1.1)}
    study.grid(["cbr_tiny"], plants)
    features = answer(verdict(study), "Features")
    assert features.word == "More than statistics"
    assert "Transfer ends higher than mean_var" in text(features)


def test_a_gain_that_mean_var_shares_is_the_statistics(study, plant):
    gained = plant(2.0, 60, 0.001)
    plants = {"random": plant(1.0), "transfer": gained, "mean_var": gained}
    study.grid(["cbr_tiny"], plants)
    features = answer(verdict(study), "Features")
    assert features.word == "Statistics are enough"
    assert "mean_var does as well as transfer, within 0.02 AUC" in text(features)


def test_gabor_is_compared_with_random_weights(study, plant):
    plants = {"random": plant(1.0), "transfer": plant(2.0), "gabor": plant(1.6)}
    study.grid(["cbr_tiny"], plants)
    features = answer(verdict(study), "Features")
    assert "gabor ends higher than random weights" in text(features)


def test_without_a_settled_gain_there_is_none_to_explain(study, plant):
    same = plant(1.5, 60, 0.001)
    study.grid(["cbr_tiny"], {"random": same, "transfer": same, "mean_var": same})
    assert answer(verdict(study), "Features").word == "No gain to explain"


@pytest.mark.parametrize(("small", "word"), [(2.0, "Yes"), (1.0, "No")])
def test_the_small_model_is_held_against_the_margin(study, plant, small, word):
    study.grid(["cbr_tiny"], {"random": plant(small, 60, 0.001)})
    study.grid(["cbr_large_w"], {"random": plant(2.0, 60, 0.001)})
    size = answer(verdict(study), "Does a smaller model")
    assert size.word == word
    assert "cbr_tiny has 13 % of cbr_large_w’s parameters." in text(size)


def test_one_model_alone_is_not_asked_for_a_smaller_one(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(), "transfer": plant()})
    size = answer(verdict(study), "Does a smaller model")
    assert size.word == "Not asked"
    assert text(size) == "These runs have one model only."


def test_without_random_weights_nothing_is_claimed(study, plant):
    study.grid(["cbr_tiny"], {"transfer": plant(2.0), "mean_var": plant(1.0)})
    found = verdict(study)
    assert "no run starts from random weights" in found.headline
    assert answer(found, "Does transfer help").word == "Not asked"


def test_without_transfer_nothing_is_claimed(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "gabor": plant(2.0)})
    assert "no run starts from donor weights" in verdict(study).headline


def test_runs_without_a_common_seed_are_not_compared(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0)}, seeds=(0, 1))
    study.grid(["cbr_tiny"], {"transfer": plant(2.0)}, seeds=(2, 3))
    assert "no two finished runs compare" in verdict(study).headline


def test_partial_transfer_stands_in_where_there_is_no_full_one(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer:pool2": plant(2.0)})
    assert verdict(study).headline.startswith("Transfer helps here")


def test_a_study_without_any_result_says_so(study):
    study.add_failed("cbr_tiny", "random", 0, "no space left")
    assert verdict(study).headline == "No run has finished yet."


def test_a_settled_twentieth_of_the_steps_is_no_speed_up():
    """0.15 doublings are the margin, 2 to that power 1.11: a tenth of the steps."""
    tiny = estimate_mean([0.070, 0.075, 0.080])
    assert tiny.decided == "higher"
    assert judge(tiny, SPEED_MARGIN, ignore_small=True) == "alike"
    saved = 1 - 2**-SPEED_MARGIN
    assert saved == pytest.approx(0.1, abs=0.005)


def test_a_speed_that_is_not_called_has_its_own_margin():
    difference = estimate_mean([0.06, 0.10, 0.08])
    judgement = judge(difference, 0.001)
    speed = Case("b", difference, judgement, margin=SPEED_MARGIN)
    assert speed.judgement == "higher"
    others = [case(name, [0.1, -0.1, 0.02]) for name in ("c", "d")]
    called = call_together([speed, *others], MARGIN)
    assert called[0].judgement == "alike"


def test_speed_does_not_drown_in_a_training_that_goes_on_too_long(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path, steps=6000)
    same = {"random": plant(1.5, 50, 0.001), "transfer": plant(1.5, 15, 0.001)}
    study.grid(["cbr_tiny"], same)
    assert answer(verdict(study), "Is training only faster").word == "Faster only"


def test_an_interval_that_touches_zero_is_open():
    touching = dataclasses.replace(estimate_mean(CLEAR), low=0.0)
    assert judge(touching, MARGIN) == "open"


def test_an_undefined_interval_is_open():
    nan = float("nan")
    undefined = dataclasses.replace(estimate_mean([0.1, 0.2, 0.3]), low=nan, high=nan)
    assert judge(undefined, MARGIN) == "open"


def case(name, values):
    difference = estimate_mean(values)
    return Case(name, difference, judge(difference, MARGIN))


CLEAR, FAINT = [0.050, 0.051, 0.052], [0.026, 0.054, 0.040]


def test_one_case_is_called_by_its_own_interval():
    (called,) = call_together([case("", FAINT)], MARGIN)
    assert called.judgement == "higher"


def test_a_case_that_only_its_own_interval_settles_is_not_called_among_others():
    cases = [case("a", CLEAR), case("b", FAINT), case("c", [0.1, -0.1, 0.02])]
    assert [one.judgement for one in cases] == ["higher", "higher", "open"]
    called = call_together(cases, MARGIN)
    assert [one.judgement for one in called] == ["higher", "open", "open"]
    assert called[1].difference.low == cases[1].difference.low
    assert item(called[1]).endswith("(clear of zero by itself, not among all)")


def test_a_small_difference_that_is_not_called_is_alike():
    small = [value / 10 for value in FAINT]
    called = call_together([case("a", small), case("b", [0.1, -0.1, 0.02])], MARGIN)
    assert [one.judgement for one in called] == ["alike", "open"]


def test_the_caveats_say_what_was_called_together(study, plant):
    plants = {"random": plant(1.0), "transfer": plant(2.0), "mean_var": plant(1.5)}
    study.grid(["cbr_tiny", "cbr_small"], plants)
    found = verdict(study)
    assert found.headline.startswith("Transfer helps for both models")
    # Of two models: help, speed, statistics against both, and size from two starts.
    assert found.caveats[0].startswith(
        "All 10 differences that have an interval here are called together (Holm’s"
    )
    assert not any("stands alone" in caveat for caveat in found.caveats)


def test_the_caveats_name_the_case_that_is_clear_of_zero_by_itself_only():
    cases = [case("cbr_tiny", CLEAR), case("cbr_small", FAINT)]
    (together,) = multiplicity_caveats(call_together(cases, MARGIN))
    assert together.endswith("called with a chance of one in twenty.")
    cases.append(case("cbr_large_w", [0.1, -0.1, 0.02]))
    (together,) = multiplicity_caveats(call_together(cases, MARGIN))
    assert together.endswith(
        "twenty. cbr_small is clear of zero by its own interval, but is not called."
    )


def test_one_comparison_alone_needs_no_caveat_on_their_number(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    assert not any("95 %" in caveat for caveat in verdict(study).caveats)
