"""Puts TFF's own context away before the interpreter ends; to be imported wherever TFF is.

It comes with the package, and complains on stderr if it is still there when the interpreter takes its modules apart.
"""

from __future__ import annotations

import atexit

import tensorflow_federated as tff

from tff_affect.errors import RunError

ENDED = "the runtime of TensorFlow Federated has ended"
"""What is said to whoever computes after the end."""


class _NoContext(tff.framework.SyncContext):
    def invoke(self, comp: object, arg: object) -> None:
        """Refuses: nothing is computed any more."""
        raise RunError(ENDED)


atexit.register(lambda: tff.framework.set_default_context(_NoContext()))
