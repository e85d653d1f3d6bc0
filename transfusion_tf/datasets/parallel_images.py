"""The same work on each image of a data set, in several processes."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

import joblib
from tqdm import tqdm

from transfusion_tf.datasets.dicom import MissingExtra
from transfusion_tf.datasets.images import ImageSource
from transfusion_tf.errors import UserError

_Value = TypeVar("_Value")


def map_images(
    work: Callable[[ImageSource], _Value],
    images: Sequence[ImageSource],
    workers: int,
    title: str,
    progress: bool,
) -> Generator[_Value | str, None, None]:
    """What `work` makes of each image, in their order, or what is wrong with it.

    Args:
      work: picklable.
      images: picklable.
      workers: processes that work; -1 is one per core.
      title: of the progress bar.
      progress: whether to show one.

    Raises:
      MissingExtra: a library to read an image is not installed.
    """
    stopped = False

    def tasks() -> Iterator[tuple]:
        for image in images:
            if stopped:
                return
            yield joblib.delayed(value_or_reason)(work, image)

    parallel = joblib.Parallel(
        n_jobs=workers, return_as="generator", pre_dispatch="4*n_jobs"
    )
    results = parallel(tasks())
    bar = tqdm(total=len(images), desc=title, unit="image", disable=not progress)
    try:
        with bar:
            # Not the bar's own loop nor `yield from`: they may close the results.
            for result in results:
                yield result
                bar.update()
    finally:
        # Given up while images are at work, joblib prints a traceback and warnings.
        stopped = True
        for _ in results:
            pass


def value_or_reason(
    work: Callable[[ImageSource], _Value], image: ImageSource
) -> _Value | str:
    """What `work` makes of the image, or what is wrong with it.

    Raises:
      MissingExtra: it can't be known, as a library is not installed.
    """
    try:
        return work(image)
    except MissingExtra:
        raise
    except UserError as error:
        return str(error)
    except MemoryError:
        return "too large for this machine's memory"
