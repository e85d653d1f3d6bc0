"""Chapters of Transfusion about accuracy: transfer against random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale, stages_of
from transfusion_tf_experiments.papers.transfusion_scales import (
    CHEST,
    RETINA,
    STARTS,
)

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig


def table1(scale: Scale) -> Chapter:
    """AUC on RETINA from random and from pretrained weights, six architectures.

    Cost: 24 runs, 19 minutes.
    Paper: ResNet50 96.4 % from random weights, 96.7 % transferred; Inception-v3
    96.6, 96.7; CBR-LargeT 96.2, 96.2; CBR-LargeW 95.8, 95.8; CBR-Small 95.7, 95.8;
    CBR-Tiny 95.8, 95.8. Transfer helps little, and small models do as well.
    """
    return scale.chapter(
        "Transfer and random weights on RETINA, six architectures",
        "AUC of referable disease on test, from random and from pretrained weights; "
        "parameters as the paper counts them and as Keras does; the donors' accuracy.",
        view="accuracy",
        runs=scale.runs(RETINA, ("all",), STARTS),
        published=read_published("transfusion_table1"),
    )


def table2(scale: Scale) -> Chapter:
    """AUC of five findings on CheXpert, five architectures, SGD schedule.

    Cost: 18 runs, 14 minutes.
    Paper: mixed. Transfer helps edema (CBR-Tiny 84.9 to 89.8 %) and pleural effusion,
    and costs a little on atelectasis and consolidation.
    """
    return scale.chapter(
        "Transfer and random weights on chest radiographs, finding by finding",
        "AUC of every finding on test, from random and from pretrained weights.",
        view="accuracy",
        runs=scale.runs(CHEST, ("chest",), STARTS),
        options={"by_class": True},
        published=read_published("transfusion_table2"),
    )


def table3(scale: Scale) -> Chapter:
    """The very small data regime: 5 000 training images on RETINA.

    Cost: 12 runs, 7 minutes.
    Paper: ResNet50 92.2 % from random weights, 94.6 % transferred; CBR-LargeT 93.6,
    93.9; CBR-LargeW 93.6, 93.7. Transfer helps the large model.
    """
    smallest = min(scale.train_examples)
    smallest_size = (
        row
        for row in _published_sizes(scale)
        if row["paper_train_examples"] == smallest and row["initialization"] in STARTS
    )
    return scale.chapter(
        "The very small data regime",
        "AUC on test of models trained on few images: whom transfer helps.",
        view="accuracy",
        runs=scale.runs(
            RETINA,
            ("scarce",),
            STARTS,
            train_examples=scale.train_examples[smallest],
        ),
        published=tuple(smallest_size),
        notes=_size_notes(scale, (smallest,)),
    )


def table4(scale: Scale) -> Chapter:
    """Data-size regimes on RETINA by start, mean_var and conv1 alone included.

    Cost: 39 runs, 28 minutes.
    Paper, ResNet50 transferred and random: 94.6 and 92.2 % at 5k images, 94.8 and
    93.3 at 10k, 95.7 and 95.3 at 50k, 96.0 and 95.9 at 100k; mean_var 94.4 at 10k;
    conv1 alone 92.9 at 5k.
    """
    smallest = min(scale.train_examples)
    first_stage = stages_of(scale.models["large"][0])[0]
    runs = list(table3(scale).runs)
    for paper_size, size in scale.train_examples.items():
        third = f"transfer:{first_stage}" if paper_size == smallest else "mean_var"
        starts = (*STARTS, third)
        runs += scale.runs(RETINA, ("large",), starts, train_examples=size)
    # All of the data, for every model that was also trained on little.
    runs += scale.runs(RETINA, ("scarce",), STARTS)
    runs += scale.runs(RETINA, ("large",), ("mean_var",))
    return scale.chapter(
        "How much data it takes",
        "AUC on test by number of training images and start.",
        view="data_sizes",
        runs=runs,
        published=_published_sizes(scale),
        notes=_size_notes(scale, tuple(scale.train_examples)),
    )


def figure12(scale: Scale) -> Chapter:
    """Fixed features on RETINA: stages frozen up to each, three treatments.

    Cost: 33 runs, 8 minutes.
    Paper: pretrained features are much better than random ones when frozen; random
    weights above the frozen stages do as well as the donor's (no co-adaptation).
    """
    return _frozen(scale, "retina", "RETINA")


def figure13(scale: Scale) -> Chapter:
    """Fixed features on chest radiographs: as figure 12.

    Cost: 33 runs, 11 minutes.
    Paper: pretrained features are better for most findings, by less than on RETINA.
    """
    return _frozen(scale, "chest", "chest radiographs")


def _frozen(scale: Scale, task: str, where: str) -> Chapter:
    runs: list[RunConfig] = []
    for model in scale.models[f"frozen/{task}"]:
        for stage in scale.levels_of(model):
            starts = ("transfer", f"transfer:{stage}", "random")
            runs += scale.runs((task,), (model,), starts, freeze=stage)
        # Above the last stage is the head alone: all of the donor below is all of it.
        last = stages_of(model)[-1]
        runs += scale.runs((task,), (model,), STARTS, freeze=last)
    return scale.chapter(
        f"Fixed features on {where}",
        "Stages up to one are frozen, the rest is trained: all from the donor; the "
        "donor below and random weights above; random weights throughout.",
        view="frozen",
        runs=runs,
        options={"by_class": task == "chest"},
    )


def _published_sizes(scale: Scale) -> tuple[dict[str, Any], ...]:
    """Table 4's numbers, beside the sizes that stand for the paper's here."""
    return tuple(
        row
        | {"train_examples": scale.train_examples[size], "paper_train_examples": size}
        for row in read_published("transfusion_table4")
        if (size := row["train_examples"]) in scale.train_examples
    )


def _size_notes(scale: Scale, sizes: tuple[int, ...]) -> tuple[str, ...]:
    changed = [size for size in sizes if scale.train_examples[size] != size]
    if not changed:
        return ()
    pairs = ", ".join(
        f"{scale.train_examples[size]:,} for {size:,}" for size in changed
    )
    return (f"Numbers of training images here stand for the paper's: {pairs}.",)
