"""The data sets of a study, each opened once: opening reads all of its rows."""

from collections.abc import Mapping

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.training import Options, RunConfig, resolve
from transfusion_tf.training.resolve import in_fold_of


class DataSets:
    """Opens the data sets that runs name, and resolves the runs against them."""

    def __init__(self, options: Options):
        self._options = options
        self._open: dict[tuple, PreparedDataset] = {}
        self._pixels: dict[tuple, Mapping[str, list[float]] | None] = {}

    def resolve(self, config: RunConfig) -> RunConfig:
        """As `transfusion_tf.training.resolve`, without opening anything twice."""
        key, images = self._key(config), self._images(config)
        resolved, self._open[key] = resolve(
            # They take a pass over the training images.
            config.replace(pixel_statistics=self._pixels.get(images)),
            self._options.data_root,
            progress=self._options.progress,
            prepared=self._open.get(key),
        )
        # The resolved config says the size that the card left open.
        self._open[self._key(resolved)] = self._open[key]
        for asked in (images, self._images(resolved)):
            self._pixels[asked] = resolved.pixel_statistics
        return resolved

    def of(self, config: RunConfig) -> PreparedDataset:
        """The data set of a config that was resolved here, in the config's fold."""
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
        return config.dataset, config.source, config.image_size, crop
