"""A card's published file is fetched, compared, and put where the card looks for it."""

import hashlib
import http.server
import threading

import pytest

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.card_fields import Download
from transfusion_tf.datasets.download import download
from transfusion_tf.errors import UserError

CONTENT = b"what was published" * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a server with one file."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "a.npz").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def card_of(folder, url, md5=MD5):
    published = Download(url=url, file="a.npz", md5=md5)
    return load_card("medmnist/breastmnist", source=folder).replace(download=published)


def test_a_file_takes_its_place_and_nothing_else_is_left(address, tmp_path):
    folder = tmp_path / "new"
    file = download(card_of(folder, f"{address}/a.npz?download=1"))
    assert file == folder / "a.npz"
    assert file.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [file]
    # What is there is not fetched again, wherever it is published.
    assert download(card_of(folder, "http://127.0.0.1:1/a.npz")) == file
    with pytest.raises(UserError, match="move it away"):
        download(card_of(folder, address, md5="0" * 32))
    assert file.read_bytes() == CONTENT


def test_other_bytes_than_the_published_ones_are_not_kept(address, tmp_path):
    with pytest.raises(UserError, match=f"has the MD5 {MD5}, and 0000"):
        download(card_of(tmp_path, f"{address}/a.npz", md5="0" * 32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["/gone.npz", None])
def test_without_the_file_or_a_network_the_message_says_what_to_do(
    address, tmp_path, place
):
    url = f"{address}{place}" if place else "http://127.0.0.1:1/a.npz"
    with pytest.raises(UserError, match=r"a\.npz can't be downloaded: .*\. Put the"):
        download(card_of(tmp_path, url))
    assert not list(tmp_path.iterdir())


def test_what_has_no_published_file_or_no_place_is_named(monkeypatch):
    with pytest.raises(UserError, match=r"names no file to download"):
        download(load_card("isic2018"))
    monkeypatch.delenv("TRANSFUSION_DATA", raising=False)
    with pytest.raises(UserError, match=r"set TRANSFUSION_DATA, or name"):
        download(load_card("medmnist/breastmnist"))
