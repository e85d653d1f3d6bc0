"""What an HDF5 file of weights may hold, checked before any of its values is read.

HDF5 can point to other files, compute an array from others, unpack it with a plug-in,
and claim an array of any size that stores nothing. Weights need none of that.
"""

import math

import h5py

from transfusion_tf.errors import UserError
from transfusion_tf.files import check_expansion

# Those that come with h5py; any other is code that HDF5 would look for and load.
_FILTERS = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
)


def check_hdf5(file: h5py.File, size: int, source: str) -> None:
    """Makes sure that the file holds its own arrays, once each, and no bomb.

    Nothing but names, shapes and types is read.

    Args:
      file: An open file.
      size: Its bytes on disk.
      source: How messages call it.

    Raises:
      UserError: If it holds a link, an external or virtual data set, a filter from
        elsewhere, an object that stands there twice, or arrays that claim more
        than their bytes can hold.
    """
    seen = {address(file)}
    groups: list[h5py.Group] = [file]
    total = 0
    while groups:
        group = groups.pop()
        for key in group:
            where = f"{source}: {group.name.rstrip('/')}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise UserError(
                    f"{where} is a link; a weights file must hold its own data"
                )
            child = group[key]
            if address(child) in seen:
                raise UserError(f"{where} contains itself, or stands there twice")
            seen.add(address(child))
            if isinstance(child, h5py.Group):
                groups.append(child)
            elif isinstance(child, h5py.Dataset):
                total += _checked_size(child, where)
            else:
                raise UserError(f"{where} is neither a group nor an array")
    check_expansion(f"{source}, all arrays together,", total, size)


def _checked_size(dataset: h5py.Dataset, where: str) -> int:
    if dataset.external or dataset.is_virtual:
        raise UserError(f"{where} takes its data from another file")
    layout = dataset.id.get_create_plist()
    for index in range(layout.get_nfilters()):
        number = layout.get_filter(index)[0]
        if number not in _FILTERS:
            raise UserError(f"{where} needs filter {number} of HDF5 to be unpacked")
    claimed = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
    check_expansion(where, claimed, dataset.id.get_storage_size())
    return claimed


def address(found: h5py.HLObject) -> int:
    """Where in its file an object lies: the same for all its names."""
    return h5py.h5o.get_info(found.id).addr
