"""Donors that are pretrained here: a data set's name stands for a run on it."""

from pathlib import Path

from transfusion_tf.datasets import card_names, load_card
from transfusion_tf.models import parse_model_name
from transfusion_tf.models.registry import ARCHITECTURES
from transfusion_tf.training import RunConfig

# A seed that recipients do not have: a donor that grew from the random weights of one
# of them would resemble that run for this alone, most of all where models move little.
_DONOR_SEED = 10_007


def is_dataset(donor: str | None) -> bool:
    """Whether a `--donor` names a data set, not weights."""
    if donor is None:
        return False
    return donor in card_names() or Path(donor).suffix == ".toml"


def pretraining_run(config: RunConfig) -> RunConfig:
    """The run that pretrains the donor which `config` names.

    From random weights of a seed of its own, with the donor card's image size, batch
    and steps (or `donor_steps`, with two evaluations); architecture and batch norm
    momentum are the recipient's, not slimmed. So the donor is the same for every run
    of a study that can share it.
    """
    assert config.donor is not None
    card = load_card(config.donor)
    architecture = parse_model_name(config.model).architecture
    needs = ARCHITECTURES[architecture]
    step = needs.multiple_of
    training = card.training
    return RunConfig(
        dataset=config.donor,
        model=architecture,
        image_size=step * -(-max(card.image_size, needs.min_size) // step),
        seed=_DONOR_SEED,
        batch_size=training.batch_size,
        steps=config.donor_steps or training.steps,
        eval_every=max(1, config.donor_steps // 2)
        if config.donor_steps
        else training.eval_every,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        schedule=training.schedule,
        batch_norm_momentum=config.batch_norm_momentum,
        mixed_precision=config.mixed_precision,
        xla=config.xla,
    )
