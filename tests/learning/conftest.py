from collections.abc import Iterator

import pytest

from tff_affect.learning.runtime import Worker, local_runtime


@pytest.fixture(scope="module")
def runtime() -> Iterator[Worker]:
    """TFF computations of a module's tests run on an own worker."""
    with local_runtime() as worker:
        yield worker
