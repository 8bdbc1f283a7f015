"""One demo lake for the tests that only look at it."""

import shutil
import tempfile
from pathlib import Path

import pytest
import support
from example import BATCH, EVENTS, EXAMPLE, PARTITIONS


@pytest.fixture(scope="session")
def demo(session_folder):
    """The example's lake, as `tarn demo FILE` leaves it, and what that said."""
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    shutil.copy(EXAMPLE, folder)
    done = support.tarn("demo", "tarn.yaml", "--count", str(EVENTS), "--batch", str(BATCH), "--partitions", str(PARTITIONS), folder=folder)
    assert done.returncode == support.DONE, done.stderr
    return folder, done
