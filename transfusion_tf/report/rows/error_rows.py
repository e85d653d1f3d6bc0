"""Rows, and images, of the most confident errors of each class."""

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.sample_images import (
    ImageRow,
    ShownImage,
    data_uri,
    overlay,
)
from transfusion_tf.studies.measurements.collect import comparison_table
from transfusion_tf.studies.measurements.confident_errors import MOST_CLASSES, decoded


def error_rows(material: Material) -> Rows:
    """Of each class, its test images and how many of them are missed; the whole run."""
    rows: Rows = []
    for table in _tables(material):
        run = material.runs[table["run"].iloc[0]]
        by_class = table.groupby("class", sort=False).first()
        keys = {
            "dataset": run.dataset["name"],
            "model": run.config.model,
            "initialization": run.config.initialization,
            "train_examples": run.train_examples,
            "seed": run.config.seed,
        }
        for name, own in by_class.iterrows():
            missed = {"value": own["missed"], "of": own["images"]}
            if own["images"]:
                missed["share"] = own["missed"] / own["images"]
            rows.append(
                {**keys, "quantity": "missed_images", "true_class": name, **missed}
            )
        rows.append(
            {
                **keys,
                "quantity": "chosen_run",
                "value": run.best_validation(),
                "unit": wording.metric_unit(run.metric),
                "shown": len(by_class),
                "cut": MOST_CLASSES == len(by_class) < len(run.dataset["classes"]),
                "missed": by_class["missed"].sum(),
                "gap": table["gap"].abs().max(),
                "show_images": material.show_images,
                "learned": not any(
                    start.not_learned and start.not_learned.kind != "donor"
                    for results in material.results
                    for panel in results.model_results
                    for start in panel.starts.values()
                    if run.run_id in start.ids
                ),
                "hidden": True,
            }
        )
    return rows


def images_of_errors(material: Material) -> tuple[ImageRow, ...]:
    """A row of each class that has errors."""
    return tuple(
        _image_row(str(name), own)
        for table in _tables(material)
        for name, own in table.dropna(subset="place").groupby("class", sort=False)
    )


def _image_row(name: str, table: pd.DataFrame) -> ImageRow:
    images = []
    for line in table.to_dict("records"):
        image = decoded(line["image"])
        probability = wording.number(line["probability"], 2)
        overlaid = overlay(image, decoded(line["saliency"]))
        images.append(
            ShownImage(
                (
                    f"data:image/jpeg;base64,{line['image']}",
                    data_uri(overlaid, "jpeg"),
                ),
                (f"predicted {line['predicted']}", probability),
                f"{name}, predicted {line['predicted']} with {probability}; below it "
                "what its pixels speak for",
            )
        )
    missed, of = (int(table[column].iloc[0]) for column in ("missed", "images"))
    said = f"{wording.count(missed)} of {wording.plural(of, 'test image')} missed"
    return ImageRow(name, said, tuple(images))


def _tables(material: Material) -> list[pd.DataFrame]:
    """Those that are there; what is missing is said elsewhere."""
    found = []
    for path in material.chapter.analyses.get("confident_errors", ()):
        try:
            table = comparison_table(material.results[0].record, path)
        except UserError:
            continue
        found.append(table[table["run"].isin(list(material.runs))])
    return [table for table in found if len(table)]
