"""What the tests of layers share."""

import pytest
from layered import LayeredLake


@pytest.fixture(scope="module")
def refreshed(session_folder):
    """refreshed(backend): 200 events and their layers, as if just made."""
    made = {}

    def give(backend):
        if backend not in made:
            made[backend] = LayeredLake(backend, session_folder)
            made[backend].take()
            made[backend].transform()
            made[backend].keep()
        made[backend].restore()
        return made[backend]

    return give


@pytest.fixture
def sqlite(refreshed):
    return refreshed("sqlite")
