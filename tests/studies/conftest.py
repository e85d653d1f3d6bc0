"""Fixtures of studies."""

import pytest


@pytest.fixture
def small_probe(monkeypatch):
    """Donors are measured in a second."""
    from transfusion_tf.studies.measurements import donor_measures

    sizes = {"_CLASSES": 3, "_IMAGES": 7, "RANDOM_STARTS": 3, "_FILTERS": 2}
    for name, value in sizes.items():
        monkeypatch.setattr(donor_measures, name, value)

    def forget():
        donor_measures._random_accuracies.clear()
        donor_measures._held_out_images.cache_clear()

    forget()
    yield
    forget()
