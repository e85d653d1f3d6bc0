import pytest


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, data_root):
    """A folder for all studies of a file; drawings are prepared once for all files."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "data").symlink_to(data_root)
    return folder
