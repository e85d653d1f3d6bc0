"""What single tables of Transfusion claim beyond its main findings.

As in `transfusion_claims`, which has those, effects are on RETINA unless they say
otherwise, and rules were fixed before any run was made.
"""

import numpy as np

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale, stages_of
from transfusion_tf_experiments.papers.transfusion_effects import SMALL, Effects
from transfusion_tf_experiments.papers.transfusion_scales import RETINA

# "For Atelectasis, Cardiomegaly and Consolidation, transfer learning performs slightly
# worse, but helps with Edema and Pleural Effusion" (section 3.2).
WORSE = ("Atelectasis", "Cardiomegaly", "Consolidation")
BETTER = ("Edema", "Pleural Effusion")
_TOP = (-1,)


def table_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Tables 1, 2, 4 and 5."""
    return (
        *_imagenet_claims(scale, effects),
        *(_finding(scale, effects, name) for name in (*BETTER, *WORSE)),
        *_size_claims(scale, effects),
        *_seed_claims(scale, effects),
    )


def _imagenet_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    # Of published weights nothing here says how good they are.
    models = [name for name in scale.models["all"] if name != "inception_v3"]
    if len(models) < 3:
        return ()  # No line can be drawn through them.
    return (
        Claim(
            "ImageNet performance is not predictive of medical performance.",
            "table 1, section 3.2",
            "test AUC of transferred models for each 0.1 of the way from chance to "
            "perfect that their donors are better on their own task, over models; in "
            "the paper, of top-5 accuracy",
            "AUC",
            "alike",
            effects.slope_over_donors(models),
            published=_published_slope(),
        ),
    )


def _published_slope() -> float:
    """AUC for each 0.1 of top-5 accuracy, over table 1's models."""
    models = ("resnet50", "cbr_large_t", "cbr_large_w", *SMALL)
    top5, auc = (
        [published_mean("transfusion_table1", model=m, **wanted) for m in models]
        for wanted in (
            {"quantity": "donor/top5_accuracy"},
            {"quantity": "test", "initialization": "transfer"},
        )
    )
    return 0.1 * float(np.polyfit(top5, auc, 1)[0])


def _finding(scale: Scale, effects: Effects, name: str) -> Claim:
    """One column of table 2."""
    gain = effects.class_gain(scale.models["chest"], name)
    transfer, random = (
        published_mean(
            "transfusion_table2", quantity=f"auc/{name}", initialization=start
        )
        for start in ("transfer", "random")
    )
    if name in BETTER:
        return Claim(
            f"On chest radiographs, transfer helps with {name}.",
            "table 2, section 3.2",
            f"test AUC of {name}, transfer minus random, mean over models",
            "AUC",
            "above",
            gain,
            published=transfer - random,
        )
    return Claim(
        f"On chest radiographs, transfer is slightly worse for {name}.",
        "table 2, section 3.2",
        f"test AUC of {name}, random minus transfer, mean over models",
        "AUC",
        "above",
        effects.minus(gain),
        published=random - transfer,
    )


def _size_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """The rows of table 4, at the sizes that the scale has."""
    return (*_claims_by_size(scale, effects), *_few_images_claims(scale, effects))


def _claims_by_size(scale: Scale, effects: Effects) -> list[Claim]:
    """Gains of transfer and of mean_var at every size."""
    (large,) = scale.models["large"]
    smallest = min(scale.train_examples)
    found = []
    for paper_size, size in scale.train_examples.items():
        few = paper_size <= 10_000
        found.append(
            Claim(
                f"With {paper_size:,} images transfer gains "
                f"{'clearly' if few else 'a fraction only'}.",
                "table 4, appendix B",
                f"test AUC of {large} with {size:,} training images, transfer minus "
                "random",
                "AUC",
                "above" if few else "alike",
                effects.gain(RETINA, large, train_examples=size),
                published=_table4(paper_size, "transfer") - _table4(paper_size),
            )
        )
        if paper_size != smallest:
            found.append(
                Claim(
                    f"With {paper_size:,} images the scale of the weights "
                    f"{'gains too' if few else 'does as well as random weights'}.",
                    "table 4, appendix B",
                    f"test AUC of {large} with {size:,} training images, mean_var "
                    "minus random",
                    "AUC",
                    "above" if few else "at_least",
                    effects.test(RETINA, large, "mean_var", train_examples=size)
                    - effects.test(RETINA, large, "random", train_examples=size),
                    published=_table4(paper_size, "mean_var") - _table4(paper_size),
                )
            )
    return found


def _few_images_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What one layer, and what few images, are worth."""
    (large,) = scale.models["large"]
    first_stage, last_stage = stages_of(large)[0], stages_of(large)[-1]
    smallest = min(scale.train_examples)
    few_images = scale.train_examples[smallest]
    start = f"transfer:{first_stage}"
    return (
        Claim(
            "With few images, the donor's first layer alone gains a little.",
            "table 4, appendix B",
            f"test AUC of {large} with {few_images:,} training images, {start} minus "
            "random",
            "AUC",
            "above",
            effects.test(RETINA, large, start, train_examples=few_images)
            - effects.test(RETINA, large, "random", train_examples=few_images),
            published=_table4(smallest, "transfer:conv1") - _table4(smallest),
        ),
        *(
            Claim(
                "Fine-tuning on few images beats fixed features on all of them.",
                "table 4, appendix B",
                f"test AUC of {model}, transferred and fine-tuned on {few_images:,} "
                f"training images, minus transferred and frozen up to {last_stage}",
                "AUC",
                "above",
                effects.test(RETINA, model, "transfer", train_examples=few_images)
                - effects.test(RETINA, model, "transfer", freeze=last_stage),
            )
            for model in scale.models["large"]
            if model in scale.models["frozen/retina"]
        ),
    )


def _table4(size: int, start: str = "random") -> float:
    return published_mean(
        "transfusion_table4",
        model="resnet50",
        initialization=start,
        train_examples=size,
    )


def _seed_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Table 5: a large model beside a small one."""
    large, small = scale.models["pair"][0], scale.models["pair"][-1]
    if large == small:
        return ()
    lowest = effects.kept_alike(large) - effects.kept_alike(small)
    top = effects.kept_alike(large, _TOP) - effects.kept_alike(small, _TOP)
    return (
        Claim(
            "A common start keeps large models alike more than small ones.",
            "table 5, appendix D",
            f"{scale.similarity} of two transferred models minus that of two random "
            f"ones, lowest stage, {large} minus {small}",
            scale.similarity,
            "above",
            lowest,
            published=_table5("resnet50", "conv1") - _table5("cbr_small", "pool1"),
        ),
        Claim(
            "At the top they do not differ in this.",
            "table 5, appendix D",
            f"the same at the last stage, {large} minus {small}",
            scale.similarity,
            "alike",
            top,
            published=_table5("resnet50", "block4") - _table5("cbr_small", "pool4"),
        ),
    )


def _table5(model: str, stage: str) -> float:
    of_starts = (
        published_mean("transfusion_table5", model=model, stage=stage, pair=pair)
        for pair in ("transfer – transfer", "random – random")
    )
    transfer, random = of_starts
    return transfer - random
