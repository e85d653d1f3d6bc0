"""What a chapter's options say about how models are compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transfusion_tf.representations import LayerSettings, Sampling, Settings
from transfusion_tf.studies.measurements.model_states import ModelStates

Options = Mapping[str, Any]


def similarity_measure(options: Options) -> str:
    """By which measure stages are compared, one of `MEASURES`."""
    return str(options.get("similarity_measure", "cca"))


def sampling_options(options: Options) -> Options:
    """How a similarity by stage is sampled."""
    defaults = Sampling()
    measure = similarity_measure(options)
    return {
        # Comparisons by CCA keep what they were known by before there was a choice.
        **({"measure": measure} if measure != "cca" else {}),
        "states": dataclasses.asdict(ModelStates.of(options)),
        "points": options.get("points", defaults.points),
        "channels": options.get("channels", defaults.channels),
        "equal_points": options.get("equal_points", defaults.equal_points),
        "repeats": options.get("repeats", Settings.repeats),
        "seed": Settings.seed,
    }


def sampling_sentence(options: Options) -> str:
    """What the page says of the points that stages are compared on, and after whom."""
    given = sampling_options(options)
    at_least = "one image of the largest stage at least"
    if not given["equal_points"]:
        at_least = "one image where it has more"
    return (
        "A stage’s points are those of whole images that the runs were not trained on: "
        f"p = {given['points']} or nearly, {at_least}; of d = "
        f"{given['channels'] or 'all'} channels, {given['repeats']} times over. "
        "Transfusion (appendix C) leaves p, d and the number of repeats open; a "
        "follow-up (Juodelyte et al., 2023) takes 10 000, 64 and five."
    )


def stage_settings(given: Options) -> Settings:
    """Of `sampling_options`."""
    return Settings(
        measures=(given.get("measure", "cca"),),
        sampling=Sampling(
            **{name: given[name] for name in ("points", "channels", "equal_points")}
        ),
        repeats=given["repeats"],
        seed=given["seed"],
        progress=False,
    )


def layer_options(options: Options) -> dict[str, Any]:
    """How layers are compared with layers."""
    return {
        "states": dataclasses.asdict(ModelStates.of(options)),
        "kind": options.get("kind", "unit"),
        "most_images": options.get("images", 2000),
        "tokens": options.get("tokens", "both"),
    }


def layer_settings(given: Options) -> dict[str, Any]:
    """Arguments of what compares layers, of `layer_options`."""
    how = {name: value for name, value in given.items() if name != "states"}
    return {
        "settings": LayerSettings(**how, progress=False),
        "states": ModelStates(**given["states"]),
    }


def trained_options(options: Options) -> dict[str, Any]:
    """Which weights after training one model is looked at with."""
    return {"trained": ModelStates.of(options).trained}


def travel_options(options: Options) -> dict[str, Any]:
    """Which weights after training, and which parts distances are averaged over."""
    return {**trained_options(options), "kind": options.get("kind", "unit")}


def robustness_options(options: Options) -> Options:
    """Which parts are set back, and on which split the model is evaluated."""
    return {
        "kind": options.get("kind", "unit"),
        "split": options.get("split", "test"),
    }


def knn_options(options: Options) -> Options:
    """How neighbours are found and vote."""
    given = {"kind": options.get("kind", "stage"), "k": options.get("k", 200)}
    given |= {
        name: options[name] for name in ("vote", "temperature") if name in options
    }
    return {**given, "split": options.get("split", "test"), **trained_options(options)}
