"""The data sets of a study, each opened once: opening reads all of its rows."""

from collections.abc import Collection, Mapping

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.training import RunConfig, RunOptions, resolve
from transfusion_tf.training.resolved_config import in_fold_of


class DataSets:
    """Opens the data sets that runs name, and resolves the runs against them."""

    def __init__(self, options: RunOptions):
        self._options = options
        self._open: dict[tuple, PreparedDataset] = {}
        self._pixels: dict[tuple, Mapping[str, list[float]] | None] = {}

    def resolve(self, config: RunConfig, planned: Collection[str] = ()) -> RunConfig:
        """As `transfusion_tf.training.resolve`, without opening anything twice."""
        key, images = self._key(config), self._images(config)
        resolved, self._open[key] = resolve(
            # They take a pass over the training images.
            config.replace(pixel_statistics=self._pixels.get(images)),
            self._options.data_root,
            progress=self._options.progress,
            prepared=self._open.get(key),
            planned=planned,
        )
        # The resolved config says the size that the card left open.
        self._open[self._key(resolved)] = self._open[key]
        for asked in (images, self._images(resolved)):
            self._pixels[asked] = resolved.pixel_statistics
        return resolved

    def of(self, config: RunConfig) -> PreparedDataset:
        """The data set of a resolved config, in the config's fold.

        Raises:
          UserError: it is not what it was when the config was resolved.
        """
        if self._key(config) not in self._open:
            self._pixels[self._images(config)] = config.pixel_statistics
            found = self.resolve(config)
            if found.run_id != config.run_id:
                raise UserError(
                    f"{config.run_id} was planned for other data of {config.dataset} "
                    f"than those in {self._options.data_root}: they were changed, or "
                    "every machine prepares its own and should share --data_root"
                )
        return in_fold_of(config, self._open[self._key(config)])

    def _images(self, config: RunConfig) -> tuple:
        """What decides which images a run is trained on, and how they are scaled."""
        fold = (config.fold, config.folds, config.fold_protocol)
        return (
            *self._key(config),
            *fold,
            config.train_examples,
            config.input_scaling,
        )

    def _key(self, config: RunConfig) -> tuple:
        # What is stored depends on the random crop, of all that augmentation is.
        given = config.augmentation
        crop = None if given is None else given.get("random_crop", 1.0)
        size = (config.image_size, config.aspect, crop)
        return config.dataset, config.source, *size
