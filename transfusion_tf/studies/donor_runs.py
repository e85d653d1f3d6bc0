"""What a `--donor` stands for: a data set's name for a run on it that is made here, a
donor card for the weight file and the input scaling that it names.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from transfusion_tf.datasets import card_names, load_card
from transfusion_tf.datasets.splits import stable_hash
from transfusion_tf.errors import UserError
from transfusion_tf.initialization import InitializationReport, parse_spec
from transfusion_tf.initialization.donor_cards import is_donor_card, load_donor_card
from transfusion_tf.initialization.donor_sources import has_imagenet_weights
from transfusion_tf.initialization.torch_files import TORCH_SUFFIXES
from transfusion_tf.initialization.weight_files import stored_input_scaling
from transfusion_tf.models import INPUT_SCALINGS, ModelSpec, parse_model_name
from transfusion_tf.models.registry import ARCHITECTURES
from transfusion_tf.training import RunConfig

# A seed that recipients do not have: a donor that grew from the random weights of one
# of them would resemble that run for this alone, most of all where models move little.
# Donors are compared too, so each has one of its own; those that were there first share
# what their run ids say.
_DONOR_SEED = 10_007
_FIRST_DONORS = ("imagenet2012", "photographs", "photographs_few")
_DRAWN_DONOR = "drawn_textures"


def is_dataset(donor: str | None) -> bool:
    """Whether a `--donor` names a data set, not weights."""
    if donor is None or is_donor_card(donor):
        return False
    return donor in card_names() or Path(donor).suffix == ".toml"


def with_default_donor(config: RunConfig) -> RunConfig:
    """The config with a donor, where it needs one and names none.

    ImageNet's weights where somebody publishes them for the architecture, else a model
    pretrained on drawn textures, which needs no download.
    """
    if config.donor is not None or not parse_spec(config.initialization).needs_donor:
        return config
    architecture = parse_model_name(config.model).architecture
    published = has_imagenet_weights(architecture)
    return config.replace(donor="imagenet" if published else _DRAWN_DONOR)


def with_donor_card(config: RunConfig) -> RunConfig:
    """The config on the weights that its donor card names, where it names one.

    The model scales its input as the donor's weights expect, which its name then says:
    `resnet50[input_scaling=caffe_over_255]`. So does the model from random weights that
    a donor stands beside: the two differ in their weights alone.

    Raises:
      UserError: the card, or its file, is not as it should be; a model whose name asks
        for another input scaling than the card; a bare weight file that does not say
        which pixels it expects.
    """
    if not is_donor_card(config.donor):
        _check_that_pixels_are_known(config)
        return config
    card = load_donor_card(str(config.donor))
    spec = parse_model_name(config.model)
    if spec.input_scaling not in (None, card.input_scaling):
        raise UserError(
            f"--model={config.model} scales its input as {spec.input_scaling!r}, but "
            f"donor {card.name} was trained on {card.input_scaling!r} ({card.path}): "
            "leave input_scaling out, or write a donor card that says otherwise"
        )
    own = ARCHITECTURES[spec.architecture].input_scaling
    scaling = None if card.input_scaling == own else card.input_scaling
    model = str(dataclasses.replace(spec, input_scaling=scaling))
    if parse_spec(config.initialization).scheme == "random":
        return config.replace(model=model, donor=None)
    return config.replace(model=model, donor=str(card.weights()))


def _check_that_pixels_are_known(config: RunConfig) -> None:
    """Raises UserError for a weight file of which nothing says what it was trained on.

    `.keras` files of this project say, and so does the folder of a run.
    """
    spec = parse_model_name(config.model)
    if config.donor is None or parse_spec(config.initialization).scheme == "random":
        return
    file = Path(config.donor).expanduser()
    # Others are data sets and runs.
    suffixes = (".h5", ".keras", *TORCH_SUFFIXES)
    is_weight_file = file.suffix in suffixes and file.is_file()
    if spec.input_scaling or not is_weight_file:
        return
    if (file.parent / "config.json").is_file() or stored_input_scaling(file):
        return
    own = ARCHITECTURES[spec.architecture].input_scaling
    fitting = dataclasses.replace(spec, input_scaling=own)
    raise UserError(
        f"--donor={config.donor} does not say which pixels its weights expect, and on "
        "others they are another network. Name one of "
        f"{', '.join(INPUT_SCALINGS)}: in the model's name, such as --model={fitting}, "
        "or in a donor card (docs/donors.md)"
    )


def check_that_donors_differ(
    reports: Iterable[tuple[RunConfig, InitializationReport]],
) -> None:
    """Raises UserError where two donors that stand side by side are the same weights.

    Args:
      reports: of runs as they were asked for, how they were initialized.
    """
    found: dict[tuple[str, str, str | None], str] = {}
    for asked, report in reports:
        if asked.donor is None or report.donor_sha256 is None:
            continue
        architecture = parse_model_name(asked.model).architecture
        key = (architecture, report.donor_sha256, report.input_scaling)
        other = found.setdefault(key, asked.donor)
        if other != asked.donor:
            raise UserError(
                f"donors {other} and {asked.donor} are the same weights on the same "
                f"pixels ({report.input_scaling}): leave one of them out"
            )


def donor_card_records(configs: Iterable[RunConfig]) -> list[dict[str, str]]:
    """What reports say of the donor cards whose weights runs start from."""
    cards = [
        load_donor_card(str(config.donor))
        for config in configs
        if is_donor_card(config.donor)
        and parse_spec(config.initialization).scheme != "random"
    ]
    return [
        card.described() | {"weights": str(card.weights())}
        for card in dict.fromkeys(cards)
    ]


def pretraining_run(config: RunConfig) -> RunConfig:
    """The run that pretrains the donor which `config` names.

    From random weights of a seed of its own, one a data set, with the donor card's
    image size, batch and steps (or `donor_steps`, with two evaluations); architecture,
    scaling of the input and batch norm momentum are the recipient's, not slimmed. So
    the donor is the same for every run of a study that can share it.
    """
    assert config.donor is not None
    card = load_card(config.donor)
    recipient = parse_model_name(config.model)
    whole = ModelSpec(recipient.architecture, input_scaling=recipient.input_scaling)
    needs = ARCHITECTURES[whole.architecture]
    step = needs.multiple_of
    training = card.training
    return RunConfig(
        dataset=config.donor,
        model=str(whole),
        input_scaling=config.input_scaling,
        image_size=step * -(-max(card.image_size, needs.min_size) // step),
        seed=_donor_seed(card.name),
        batch_size=training.batch_size,
        steps=config.donor_steps or training.steps,
        eval_every=max(1, config.donor_steps // 2)
        if config.donor_steps
        else training.eval_every,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        batch_norm_momentum=config.batch_norm_momentum,
        batch_norm_images=config.batch_norm_images,
        mixed_precision=config.mixed_precision,
        xla=config.xla,
    )


def _donor_seed(name: str) -> int:
    if name in _FIRST_DONORS:
        return _DONOR_SEED
    return _DONOR_SEED + 1 + stable_hash("donor", name) % 1_000_000
