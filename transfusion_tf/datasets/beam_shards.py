"""TFRecord shards written on an Apache Beam runner, each by one of its workers."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from transfusion_tf import files
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.parallel_images import value_or_reason
from transfusion_tf.datasets.shards import Place, Shard, encoder, write_shard
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """What a worker does with a shard: writes it, and notes the places beside.

    Both files appear whole under their names, so that a worker that is started again,
    or beside another, repeats and adds nothing.

    Attributes:
      card: what is built.
      folder: where the shards belong; all workers see it.
      notes: where the notes belong; all workers see it.
    """

    card: DatasetCard
    folder: Path
    notes: Path

    def __call__(self, shard: Shard) -> None:
        """Writes the shard and its note."""
        work = encoder(self.card)
        encoded = (value_or_reason(work, example.image) for example in shard.examples)
        with files.replacing(self.folder / shard.file) as temporary:
            places = write_shard(temporary, shard.examples, encoded)
        files.write_json(self.note(shard), places)

    def note(self, shard: Shard) -> Path:
        """The file that holds the places of the shard's examples."""
        return self.notes / f"{shard.file}.json"


def write_shards_on_beam(
    card: DatasetCard,
    shards: Sequence[Shard],
    folder: Path,
    pipeline_options: Sequence[str],
) -> list[list[Place]]:
    """`write_shards` on Apache Beam; as many workers have work as there are shards.

    Args:
      card: what is built.
      shards: from `plan_shards`; the runner's workers must see the examples' files.
      folder: as for `write_shards`, seen by the workers, with room for notes beside.
      pipeline_options: Beam's own, such as `--runner=FlinkRunner`.

    Raises:
      UserError: Beam is not installed.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError:
        raise UserError(
            "--beam_pipeline_options needs Apache Beam: pip install "
            "'transfusion_tf[beam]'"
        ) from None
    task = ShardTask(card, folder, folder.with_name("notes"))
    with beam.Pipeline(options=PipelineOptions(list(pipeline_options))) as pipeline:
        # Without the reshuffle one worker may write all, where the list was made.
        pipeline | beam.Create(shards) | beam.Reshuffle() | "write" >> beam.Map(task)
    files.remove_leftovers(folder)
    return [json.loads(task.note(shard).read_text("utf-8")) for shard in shards]
