"""The feature-reuse studies at the scale `paper`, against the text, value by value."""

import functools

import numpy as np
import pytest

from transfusion_tf.training.resolved_config import answered, card_of
from transfusion_tf_experiments.papers import feature_reuse
from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import STAGES


@functools.cache
def chapters_of(scale):
    """All chapters at the scale of that name: thousands of runs, made once."""
    made = feature_reuse.SCALES[scale]()
    return {name: make(made) for name, make in feature_reuse.CHAPTERS.items()}


@functools.cache
def runs_of(scale):
    return {run for chapter in chapters_of(scale).values() for run in chapter.runs}


PAPER = feature_reuse.SCALES["paper"]()
CHAPTERS, CODE = chapters_of("paper"), chapters_of("published_code")

FOUR = {"deit_s", "swin_t", "inception_v3", "resnet50"}
DEIT_FAMILY = {"deit_ti", "deit_s", "deit_b"}
PATCHIFIER_AND_BLOCKS = ["patch_embed"] + [f"block{n}" for n in range(1, 12)]
RESNET_FAMILY = {"resnet18", "resnet50", "resnet152"}
CHEXPERT = "chexpert_14_by_patient"
FIVE = {"aptos2019", "cbis_ddsm", "isic2019", CHEXPERT, "patch_camelyon"}


def values(name, field, **wanted):
    """All values that a field takes in a chapter's runs."""
    return {
        getattr(run, field)
        for run in CHAPTERS[name].runs
        if all(getattr(run, key) == value for key, value in wanted.items())
    }


@pytest.mark.parametrize(
    ("field", "value", "source"),
    [
        # "random crops 224×224 after rescaling", "resized to 256×256".
        ("image_size", 224, "section 2"),
        # "with a batch size of 64".
        ("batch_size", 64, "section 2"),
        # "IMAGENET-pretrained weights".
        ("donor", "imagenet", "section 2"),
        # The paper clips no gradients; its code does.
        ("gradient_clipping", None, "section 2"),
    ],
)
def test_what_all_runs_share(field, value, source):
    assert {getattr(run, field) for run in runs_of("paper")} == {value}, source


@pytest.mark.parametrize("scale", ["paper", "published_code"])
def test_inception_alone_has_dropout(scale):
    # `cnn_models.__dict__["inception_v3"]`: torchvision's, with dropout of 0.5.
    found = {(run.model, run.dropout) for run in runs_of(scale)}
    assert {model for model, share in found if share} == {"inception_v3"}
    assert {share for model, share in found if model == "inception_v3"} == {0.5}


def test_the_published_code_looks_into_the_best_weights():
    # `self.best_model`, saved as `state_dict`, which ablations load; `model.eval()`.
    for name in ("figure3", "figure4", "figure6", "appendix_a"):
        assert CODE[name].options["trained_weights"] == "best"
        assert "trained_weights" not in CHAPTERS[name].options
    assert CODE["figure3"].options["batch_norm_statistics"] == "stored"


def test_cnns_have_adam_and_transformers_adamw():
    found = {(run.model, run.optimizer) for run in CHAPTERS["table1"].runs}
    assert found == {
        ("deit_s", "adamw"),
        ("swin_t", "adamw"),
        ("inception_v3", "adam"),
        ("resnet50", "adam"),
    }
    decays = {run.optimizer: run.weight_decay for run in CHAPTERS["table1"].runs}
    assert decays == {"adamw": 0.01, "adam": 0.0}


def test_the_rate_is_1e_4_and_3e_4_from_random_weights():
    for run in runs_of("paper"):
        expected = 3e-4 if run.initialization == "random" else 1e-4
        assert run.learning_rate == pytest.approx(expected)


def test_the_rate_warms_up_for_1000_steps_and_falls_at_plateaus_down_to_1e_6():
    for run in CHAPTERS["table1"].runs:
        assert run.schedule == "plateau"
        assert run.warmup_steps == 1_000
        assert run.minimum_learning_rate == 1e-6


def test_images_of_256_px_are_cropped_flipped_and_jittered():
    (policy,) = {run.augmentation for run in runs_of("paper")}
    assert 224 * policy["random_crop"] == pytest.approx(256)
    assert policy["flip_horizontal"]
    assert policy["flip_vertical"]
    # What the paper calls colour jitter, in its code.
    jitter = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.1, "hue": 0.1}
    assert {name: policy[name] for name in jitter} == jitter
    assert policy["color_share"] == 0.2
    assert policy["grayscale"] == 0


def test_random_convolutions_are_kaimings_and_batch_norm_is_pytorchs():
    # "Random init. (RI) – Kaiming initialization [15]"; "available in PyTorch [33]",
    # whose batch norm has a momentum of 0.1: nine tenths of the statistics stay.
    for run in runs_of("paper") | runs_of("published_code"):
        is_cnn = run.model.startswith(("resnet", "inception"))
        assert run.kernel_initializer == ("he_normal" if is_cnn else None)
        assert run.batch_norm_momentum == (0.9 if is_cnn else None)


def test_images_are_stretched_not_padded():
    # "Images were normalised and resized to 256×256"; the code: `Resize((256, 256))`.
    from transfusion_tf.training.resolved_config import card_of

    runs = runs_of("paper") | runs_of("published_code")
    assert {run.aspect for run in runs} == {"stretch"}
    card = card_of(next(run for run in runs if run.dataset == "isic2019"))
    assert (card.aspect, card.stored_size) == ("stretch", 256)


def test_figure_8_has_a_constant_rate_on_chexpert():
    # "Validation curves of RESNET50 and DEIT-S on CHEXPERT using a constant learning
    # rate."
    assert values("figure8", "schedule") == {"constant"}
    assert values("figure8", "warmup_steps") == {0}
    assert values("figure8", "dataset") == {CHEXPERT}


@pytest.mark.parametrize(
    ("chapter", "models"),
    [
        ("table1", FOUR),
        ("figure1", FOUR),
        ("figure2", FOUR),
        # "for WT initialized DeiT-S and RESNET50".
        ("figure3", {"deit_s", "resnet50"}),
        ("figure4", FOUR),
        # "unlike ViTs [...] RESNET50 exhibits poor robustness at the final layers";
        # "Full results appear in Appendix C".
        ("figure5", {"deit_s", "resnet50"}),
        ("figure6", FOUR),
        ("figure7", DEIT_FAMILY | RESNET_FAMILY),
        ("figure8", FOUR),
        ("attention_distance", {"deit_s"}),
        ("truncated_deit", {"deit_s"} | {f"deit_s[blocks={n}]" for n in range(1, 12)}),
        ("capacity", DEIT_FAMILY | RESNET_FAMILY),
        # "Full results appear in Appendix A", C. Figures 4 and 6 are D and B, too.
        ("appendix_a", FOUR),
        ("appendix_c", FOUR),
    ],
)
def test_models_data_sets_and_repetitions(chapter, models):
    assert values(chapter, "model") == models
    # "each experiment is repeated 5 times".
    assert values(chapter, "seed") == set(range(5))
    if chapter != "figure8":
        # "the task is to detect the presence of masses": beside the other, in table 1.
        masses = {"cbis_ddsm_masses"} if chapter == "table1" else set()
        assert values(chapter, "dataset") == FIVE | masses


def test_values_of_another_population_stand_beside_none_of_ours():
    # "CBIS-DDSM (N = 10,239)"; its whole mammograms are 3 103.
    from transfusion_tf.report.long_table import LongTable

    found = {}
    for name in ("table1", "figure1"):
        chapter = CHAPTERS[name]
        rows = [
            {key: row.get(key) for key in ("model", "initialization", "quantity")}
            | {"dataset": dataset, "value": 0.5}
            for row in chapter.published
            for dataset in FIVE
        ]
        table = LongTable.from_rows(rows, chapter.published)
        beside = table.frame.dropna(subset=["paper"])
        found[name] = set(beside[beside["quantity"] != "parameters"]["dataset"])
    assert found == {"table1": FIVE - {"cbis_ddsm"}, "figure1": FIVE - {"cbis_ddsm"}}


def test_no_two_chapters_show_the_same():
    shown = [
        (chapter.view, frozenset(chapter.runs), repr(chapter.options))
        for chapter in CHAPTERS.values()
    ]
    assert len(set(shown)) == len(shown)


def test_metrics_are_those_of_the_data_sets_cards():
    # "Quadratic Cohen Kappa for APTOS2019, Recall for ISIC, and ROC-AUC for DDSM,
    # CHEXPERT, and PATCHCAMELYON."
    from transfusion_tf.datasets import load_card

    metrics = {name: load_card(name).metric for name in FIVE}
    assert metrics == {
        "aptos2019": "quadratic_kappa",
        "isic2019": "balanced_accuracy",
        "cbis_ddsm": "mean_auc",
        CHEXPERT: "mean_auc",
        "patch_camelyon": "mean_auc",
    }
    assert {run.metric for run in runs_of("paper")} == {None}


@pytest.mark.parametrize(
    ("name", "split"),
    # "divided into 80/10/10 [...] with the exception of APTOS2019, 70/15/15".
    [
        ("aptos2019", (0.7, 0.15, 0.15)),
        ("isic2019", (0.8, 0.1, 0.1)),
        (CHEXPERT, (0.8, 0.1, 0.1)),
    ],
)
def test_splits_are_the_papers_where_the_data_have_none(name, split):
    from transfusion_tf.datasets import load_card

    splits = load_card(name).splits
    assert (splits.train, splits.validation, splits.test) == split


def test_starts_are_weights_statistics_and_neither():
    assert values("table1", "initialization") == {"random", "mean_var", "transfer"}
    assert values("capacity", "initialization") == {"random", "mean_var", "transfer"}
    assert values("truncated_deit", "initialization") == {"transfer"}


@pytest.mark.parametrize(
    ("model", "stages"),
    [
        # "a RESNET50 with weight transfer up to conv1 is written ResNet50-WT-ST-1/5";
        # "for ViTs it refers to the patchifier".
        ("resnet50", ("conv1", "block1", "block2", "block3")),
        ("deit_s", PATCHIFIER_AND_BLOCKS),
        ("swin_t", PATCHIFIER_AND_BLOCKS),
    ],
)
def test_the_sweep_goes_through_all_stages(model, stages):
    found = values("figure2", "initialization", model=model)
    between = {f"transfer:{stage}+mean_var" for stage in stages}
    assert found == {"random", "mean_var", "transfer"} | between


@pytest.mark.parametrize("name", feature_reuse.SCALES)
@pytest.mark.parametrize("chapter", ["figure5", "appendix_c"])
def test_layers_are_set_back_at_every_level_between_statistics_and_weights(
    name, chapter
):
    # "in ViTs with partial weight transfer (WT-ST), critical layers often appear at the
    # transition between WT and ST".
    made = chapters_of(name)[chapter]
    assert "analysed" not in made.options
    assert any(run.initialization.startswith("transfer:") for run in made.runs)


def test_inception_is_transferred_in_the_authors_seven_groups():
    # `inception_names`: Conv2d_1a; 2a and 2b; 3b; 4a; Mixed_5b to d; 6a to e; 7a to c.
    from transfusion_tf_experiments.papers.feature_reuse_models import fractions, sweep

    starts = dict(
        zip(sweep(PAPER, "inception_v3"), fractions(PAPER, "inception_v3"), strict=True)
    )
    between = ("conv1", "conv2", "conv3", "conv4", "mixed2", "mixed7")
    expected = {f"transfer:{s}+mean_var": (n + 1) / 7 for n, s in enumerate(between)}
    assert starts == pytest.approx({"mean_var": 0, **expected, "transfer": 1})
    groups = CHAPTERS["figure2"].options["groups"]["inception_v3"]
    assert groups == (*between, "mixed10")


def test_representations_are_looked_into_as_the_paper_does():
    # "the k = 200 closest embeddings from the training set".
    assert CHAPTERS["figure6"].options["k"] == 200
    # "The zig-zag pattern in row 2 of Fig. 6 is due to alternating self-attention (+) &
    # MLP layers (-)": of their outputs, not of the residual stream.
    for name in ("figure3", "figure4", "figure5", "figure6"):
        for scale in feature_reuse.SCALES:
            options = chapters_of(scale)[name].options
            assert options["kind"] == "branch", name
    assert CHAPTERS["figure1"].options["source"] == "imagenet2012"


def test_the_published_code_adds_what_the_paper_does_not_say():
    for run in runs_of("published_code"):
        assert run.optimizer == "adam"
        assert run.weight_decay == 1e-5
        assert run.gradient_clipping == 1.0
        assert run.augmentation["grayscale"] == 0.2
        # "RandomResizedCrop": {"size": 224, "scale": [0.8, 1.2]}, after Resize to 256.
        assert run.augmentation["resized_crop"] == (0.8, 1.2)
        assert run.minimum_learning_rate == 0
        assert run.plateau_patience == 8
        assert run.input_scaling == "dataset_mean_std"
        if "mean_var" in run.initialization:
            assert run.initialization.endswith("[strict_reference]")


def test_the_published_code_feeds_each_donor_the_pixels_that_it_was_trained_on():
    # "IMAGENET-pretrained weights were either available in PyTorch or downloaded from
    # the official repositories": their donors take standardised images as they are,
    # keras.applications' do not.
    units = {
        run.model.partition("[")[0]: answered(run, card_of(run)).pixel_units
        for run in CODE["table1"].runs + CODE["figure7"].runs
        if run.seed == 0 and run.dataset == "aptos2019"
    }
    standard, keras = "imagenet_mean_std", "caffe"
    assert units == {
        **dict.fromkeys(("deit_ti", "deit_s", "deit_b", "swin_t"), standard),
        **{"resnet18": standard, "resnet50": keras, "resnet152": keras},
        "inception_v3": "minus_one_to_one",
    }


@pytest.mark.parametrize("name", feature_reuse.SCALES)
def test_neighbours_vote_by_their_similarity(name):
    # "apply a k-NN evaluation protocol at the layers in question [7]": DINO's, a vote
    # by exp(similarity / T). The code's call: `knn_t=0.1`.
    figure6 = chapters_of(name)["figure6"]
    assert (figure6.options["vote"], figure6.options["temperature"]) == ("softmax", 0.1)


def test_what_the_published_code_starts_from_stands_beside_the_papers_values():
    starts = {run.initialization for run in CODE["table1"].runs}
    rows = CODE["table1"].published
    named = {row["initialization"] for row in rows if "initialization" in row}
    assert named == starts
    datasets = {run.dataset for run in CODE["figure1"].runs}
    # That on DDSM is of other images.
    published = {row["dataset"] for row in rows if "dataset" in row}
    assert published - {"ddsm_10239"} == datasets - {"cbis_ddsm"}


def test_images_in_grey_are_one_channel_in_the_published_code_alone():
    # `img_channels = 1` of CheXpert and DDSM; `modify_first_layer`.
    of_one = {run.dataset for run in runs_of("published_code") if run.one_channel}
    assert of_one == {"cbis_ddsm", "cbis_ddsm_masses", "chexpert_14_no_finding"}
    assert all(
        run.one_channel == (run.dataset in of_one) for run in runs_of("published_code")
    )
    assert not any(run.one_channel for run in runs_of("paper"))


def test_chexpert_has_no_finding_where_the_published_code_does():
    # "converting to 0: 'No Finding' every label that has only zeros".
    from transfusion_tf.datasets import load_card

    names = {
        run.dataset for run in runs_of("published_code") if "chexpert" in run.dataset
    }
    assert names == {"chexpert_14_no_finding"}
    assert load_card("chexpert_14_no_finding").labels.if_none == "No Finding"


def test_both_protocols_train_the_same_cells():
    def cells(scale):
        return {
            (
                run.dataset.replace("no_finding", "by_patient"),
                run.model,
                run.seed,
                run.initialization.partition("[")[0],
            )
            for run in runs_of(scale)
        }

    assert cells("paper") == cells("published_code")


@pytest.mark.parametrize(
    ("key", "value", "spread"),
    [
        (("deit_s", "random", "aptos2019"), 0.684, 0.017),
        (("swin_t", "random", "isic2019"), 0.597, 0.080),
        (("swin_t", "mean_var", CHEXPERT), 0.785, 0.0),
        (("inception_v3", "mean_var", "ddsm_10239"), 0.907, 0.014),
        (("resnet50", "transfer", "patch_camelyon"), 0.960, 0.006),
    ],
)
def test_published_numbers_of_table_1(key, value, spread):
    rows = {
        (row["model"], row["initialization"], row["dataset"]): row
        for row in read_published("feature_reuse_table1")
        if row["quantity"] == "test"
    }
    assert len(rows) == 60
    assert (rows[key]["value"], rows[key]["spread"]) == (value, spread)


def test_published_distances():
    rows = {row["dataset"]: row for row in read_published("feature_reuse_figure1")[:5]}
    assert {row["quantity"] for row in rows.values()} == {"frechet_distance"}
    # "APTOS2019 [...] FID 160", table 1's head.
    assert {name: row["value"] for name, row in rows.items()} == {
        "aptos2019": 160,
        "ddsm_10239": 155,
        "isic2019": 141,
        CHEXPERT: 181,
        "patch_camelyon": 202,
    }


def test_published_gains_follow_from_table_1():
    table1 = {
        (row["model"], row.get("dataset"), row.get("initialization")): row["value"]
        for row in read_published("feature_reuse_table1")
    }
    rows = read_published("feature_reuse_figure1")[5:]
    assert len(rows) == 2 * 4 * 5
    for row in rows:
        random, statistics, weights = (
            table1[row["model"], row["dataset"], start]
            for start in ("random", "mean_var", "transfer")
        )
        expected = {
            "relative_gain": weights / random,
            "feature_reuse_share": (weights - statistics) / weights,
        }
        assert row["value"] == pytest.approx(expected[row["quantity"]], abs=1e-4)


def test_learning_rates_are_searched_on_the_published_codes_grid():
    # "min_pow": -5, "max_pow": -2, "resolution": 25, "n_epochs": 5 (`lr_finder`); the
    # trainer takes the schedule away: `MixedLRScheduler([None], [None], None)`.
    made = feature_reuse.APART["learning_rates"](PAPER)
    rates = sorted({run.learning_rate for run in made.runs})
    assert rates == pytest.approx(list(np.logspace(-5, -2, 25)), rel=0.01)
    assert {1e-5, 1e-4, 1e-2} <= set(rates)
    assert {run.schedule for run in made.runs} == {"constant"}
    assert {run.model for run in made.runs} == FOUR
    assert {run.dataset for run in made.runs} == FIVE
    # Five epochs of 3 662 · 0.7 and of 262 144 images, 64 a step.
    steps = {run.dataset: run.steps for run in made.runs}
    assert (steps["aptos2019"], steps["patch_camelyon"]) == (200, 20_480)
    assert not set(feature_reuse.APART) & set(feature_reuse.CHAPTERS)


def test_every_value_is_said_to_be_the_papers_its_codes_or_ours():
    from transfusion_tf_experiments import named_studies
    from transfusion_tf_experiments.papers.protocol import NOT_IN_PAPER

    def sources(scale):
        study = named_studies.make("feature_reuse/table1", scale)
        rows = study.protocol
        return study, {row["name"]: (row["value"], row["source"]) for row in rows}

    study, paper = sources("paper")
    assert paper["batch_size"] == ("64", "section 2")
    assert paper["learning_rate"] == ("0.0001; 0.0003 (random)", "section 2")
    assert paper["aspect"] == ("stretch", "section 2")
    assert paper["repetitions"] == ("5", "section 3")
    assert paper["weight_decay"][1] == NOT_IN_PAPER
    assert any("weight_decay = " in line for line in study.not_in_paper)
    _, code = sources("published_code")
    assert code["weight_decay"] == ("1e-05", "code")
    assert code["batch_size"] == ("64", "section 2")


def test_every_chapter_says_that_donors_are_other_networks():
    # "either available in PyTorch [33] or downloaded from the official repositories".
    for chapter in (*CHAPTERS.values(), *CODE.values()):
        assert any("other networks than the paper's" in n for n in chapter.notes)


def test_every_table_and_figure_is_there():
    wanted = {"table1"} | {f"figure{n}" for n in range(1, 9)}
    wanted |= {"attention_distance", "truncated_deit", "capacity"}
    wanted |= {"appendix_a", "appendix_c"}
    assert set(CHAPTERS) == wanted


@pytest.mark.parametrize("name", feature_reuse.SCALES)
def test_claims_have_words_a_source_and_a_known_rule(name):
    found = feature_reuse.claims(feature_reuse.SCALES[name]())
    assert len({claim.text for claim in found}) == len(found) >= 12
    for claim in found:
        assert claim.source.startswith(("table", "figure", "appendix"))
        assert claim.rule in ("above", "alike", "at_least")


@pytest.fixture(scope="module")
def claims():
    return {claim.text: claim for claim in feature_reuse.claims(PAPER)}


def tasks_of(contrast):
    return {run.dataset for group in contrast.groups() for run in group}


def leaves(contrast):
    return [leaf for part in contrast.parts for leaf in leaves(part)] or [contrast]


def models_of(contrast):
    return {run.model for group in contrast.groups() for run in group}


@pytest.mark.parametrize(
    ("text", "unit", "published"),
    [
        # Table 1: mean of WT / RI over 4 models and 5 data sets.
        ("Transfer pays.", "of RI", 0.1128),
        # The same metrics as skill: kappa of chance is 0, AUC 0.5, recall 1 / 8.
        ("Transfer pays, in skill.", "skill", 0.0987),
        ("Transfer pays more with less data, in skill.", "skill", 0.0932),
        # "SWIN, which reintroduces the inductive biases of CNNs, falls somewhere in the
        # middle": 1.1286 - 1.1182 is the smaller of the two differences.
        ("Swin lies between DeiT and the CNNs.", "of RI", 0.0104),
    ],
)
def test_gains_are_claimed_in_ratios_and_in_skill(claims, text, unit, published):
    claim = claims[text]
    assert (claim.unit, claim.rule) == (unit, "above")
    assert claim.published == pytest.approx(published, abs=2e-4)
    assert tasks_of(claim.contrast) == FIVE
    assert models_of(claim.contrast) == FOUR


def test_statistics_explain_cnns_on_large_and_distant_data(claims):
    # "models with strong inductive biases applied to large datasets that poorly
    # resemble IMAGENET [...] The small benefits we do observe can be largely attributed
    # to the weight statistics (ST), not feature reuse (WT)".
    claim = claims[
        "On large and distant data, statistics alone explain what CNNs gain."
    ]
    assert (claim.rule, claim.unit) == ("alike", "of the metric")
    assert tasks_of(claim.contrast) == {CHEXPERT, "patch_camelyon"}
    assert models_of(claim.contrast) == {"inception_v3", "resnet50"}
    # (.797 - .787 + .800 - .794 + .958 - .956 + .960 - .959) / 4.
    assert claim.published == pytest.approx(0.00475)


@pytest.mark.parametrize(
    ("text", "rule", "models"),
    [
        # "DEiT shows a markedly different trend [...] a sharp jump in performance in
        # early layers"; "CNNs show a linear trend".
        ("Transformers gain from their early blocks, more than CNNs.", "above", FOUR),
        # "Certain layers, however, undergo substantial changes regardless".
        (
            "What first meets the data, or a new scale, moves whatever it begins from.",
            "above",
            FOUR,
        ),
        # "it saturates approximately halfway through the network".
        (
            "The best k-NN score of transformers saturates at half of the network.",
            "at_least",
            {"deit_s", "swin_t"},
        ),
        # "early layers of ST-initialized models are similar to features from the first
        # half of the WT-initialized models".
        (
            "Early layers of deit_s from statistics resemble the first half of one "
            "from weights.",
            "above",
            {"deit_s"},
        ),
        # "when more data is available, the transition point from feature reuse to
        # feature adaptation shifts towards earlier layers".
        ("With more data, adaptation begins in earlier layers.", "above", FOUR),
    ],
)
def test_claims_have_the_papers_contrasts(claims, text, rule, models):
    claim = claims[text]
    assert (claim.rule, models_of(claim.contrast)) == (rule, models)
    if "k-NN" in text:
        starts = {
            run.initialization for group in claim.contrast.groups() for run in group
        }
        # 7 and 6 of DeiT's 13 stages are as near to a half: the earlier one.
        assert starts == {"transfer", "transfer:block5+mean_var"}


def test_what_the_architecture_alone_makes_alike_is_taken_off(claims):
    # A control for ST: two untrained networks of one architecture are alike already.
    from transfusion_tf.studies.contrasts import PairAverage

    claim = claims[
        "CNNs learn similar features from either start, transformers do not."
    ]
    pairs = [each for each in leaves(claim.contrast) if isinstance(each, PairAverage)]
    assert sorted(each.weights for each in pairs) == ["initial"] * 2 + ["trained"] * 2
    measurements = CHAPTERS["figure3"].measurements
    assert {"layer_cka_pairs", "layer_cka_pairs_initial"} <= set(measurements)


def test_scales_change_where_resnet50_has_the_first_block_of_each(weightless_model):
    # "the first block at each scale in RESNET50".
    from transfusion_tf.representations.parts import model_parts
    from transfusion_tf_experiments.papers.feature_reuse_layer_effects import (
        SCALE_CHANGES,
    )

    parts = [part.name for part in model_parts(weightless_model("resnet50"), "unit")]
    assert [parts[place] for place in SCALE_CHANGES["resnet50"]] == [
        f"conv{number}_block1" for number in (2, 3, 4, 5)
    ]


@pytest.mark.parametrize("name", ["small", "smoke"])
def test_small_scales_need_no_download_and_three_domains(name):
    scale = feature_reuse.SCALES[name]()
    bases = [task.base for task in scale.tasks.values()]
    assert {base.donor.partition("_")[0] for base in bases} == {"photographs"}
    assert all(base.dataset.startswith("phantom_") for base in bases)
    if name == "small":
        assert scale.seeds >= 3
        assert len({base.dataset for base in bases}) == 3


def test_changes_reach_every_run():
    scale = feature_reuse.SCALES["small"]().with_changes({"steps": 7}).with_seeds(1)
    made = [make(scale) for make in feature_reuse.CHAPTERS.values()]
    runs = {run for chapter in made for run in chapter.runs}
    assert {run.steps for run in runs} == {7}
    assert {run.seed for run in runs} == {0}


def test_every_initialization_is_a_spec():
    from transfusion_tf.initialization import parse_spec

    for scale in feature_reuse.SCALES:
        for run in runs_of(scale):
            spec = parse_spec(run.initialization)
            model = run.model.partition("[")[0]
            assert spec.through is None or spec.through in STAGES[model]


@pytest.mark.parametrize("name", feature_reuse.CHAPTERS)
def test_docstrings_give_cost_and_the_paper_s_findings(name):
    text = feature_reuse.CHAPTERS[name].__doc__
    assert len(text.splitlines()[0]) <= 88
    assert "Cost:" in text
    assert "Paper" in text
