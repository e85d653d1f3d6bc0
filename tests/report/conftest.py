"""Fixtures of planted studies."""

import pytest
from planted_study import Plant, PlantedStudy


@pytest.fixture
def study(tmp_path):
    return PlantedStudy(tmp_path)


@pytest.fixture(scope="session")
def plant():
    return Plant


@pytest.fixture(scope="session")
def planted_study():
    return PlantedStudy
