"""Is this installation able to run TensorFlow Federated, and if not, what mends it?

`diagnose` looks without importing anything heavy; `smoke_test` runs one federated round in a child process. The child
is needed because TensorFlow Federated waits for its worker without a bound, and leaves that worker behind.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from packaging.version import Version

from tff_affect.memory import available_memory
from tff_affect.workers import enclosed

# The versions of requirements.lock on which everything else stands; tests/test_setup.py compares the two.
PINS = {
    "tensorflow-federated": "0.87.0",
    "tensorflow-privacy": "0.9.0",
    "tensorflow": "2.14.1",
    "keras": "2.14.0",
    "jax": "0.4.20",
    "jaxlib": "0.4.20",
    "dp-accounting": "0.4.3",
    "numpy": "1.25.2",
    "scipy": "1.9.3",
    "pandas": "2.3.3",
    "protobuf": "4.25.9",
    "typing-extensions": "4.5.0",
    "opencv-python": "4.11.0.86",
}
PYARROW_LIMIT = "26"
NEEDED_MEMORY = 2 * 10**9
NEEDED_SCRATCH = 10**9
OPENCV_NAMES = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
REINSTALL = "make clean install"


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it will do.
        found: What is there.
        expected: What should be.
        fix: The command or step that mends it; empty where all is well.
    """

    name: str
    ok: bool
    found: str
    expected: str
    fix: str = ""


def diagnose() -> list[Check]:
    """Looks at the platform, the installed versions and the room left; takes well under a second."""
    checks = [_check_python(), _check_platform(), _check_glibc()]
    checks += [_check_pin(name, pin) for name, pin in PINS.items()]
    return [
        *checks,
        _check_opencv(),
        _check_pyarrow(),
        _check_jax(),
        _check_worker(),
        _check_isolation(),
        _check_memory(),
        _check_scratch(),
    ]


def smoke_test(timeout_seconds: float = 120.0) -> Check:
    """Runs one federated-averaging round of a two-parameter model in a child process.

    Args:
        timeout_seconds: After this the child and its workers are killed. A first import from a cold disk can take
            a minute.

    Returns:
        The outcome; ``found`` holds the time taken or the last line that the child said.
    """
    return _smoke([sys.executable, "-m", "tff_affect.doctor", "--smoke"], timeout_seconds)


def _check(name: str, ok: bool, found: str, expected: str, fix: str) -> Check:
    return Check(name, ok, found, expected, "" if ok else fix)


def _check_python() -> Check:
    found = platform.python_version()
    return _check(
        "Python", sys.version_info[:2] == (3, 11), found, "3.11", f"make PYTHON=/path/to/python3.11 {REINSTALL[5:]}"
    )


def _check_platform() -> Check:
    found = f"{platform.system()} {platform.machine()}"
    return _check(
        "platform",
        found == "Linux x86_64",
        found,
        "Linux x86_64",
        "use Linux on x86-64: no other has TensorFlow Federated",
    )


def _check_glibc() -> Check:
    name, version = platform.libc_ver()
    ok = name == "glibc" and Version(version) >= Version("2.31")
    return _check("C library", ok, f"{name} {version}".strip() or "unknown", "glibc >= 2.31", "use a newer Linux")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _check_pin(name: str, pin: str) -> Check:
    found = _installed(name)
    return _check(name, found == pin, found or "not installed", pin, REINSTALL)


def _check_opencv() -> Check:
    """Distributions of OpenCV unpack over each other, so two of different versions leave a mixture."""
    found = {name: version for name in OPENCV_NAMES if (version := _installed(name))}
    said = ", ".join(f"{name} {version}" for name, version in found.items()) or "none"
    others = [name for name in found if name != "opencv-python"]
    fix = f"{sys.executable} -m pip uninstall --yes {' '.join(others)} && {REINSTALL}" if others else REINSTALL
    return _check("OpenCV", len(set(found.values())) == 1, said, "one version", fix)


def _check_pyarrow() -> Check:
    """A newer pyarrow refuses this numpy, and scikit-learn then fails to import."""
    found = _installed("pyarrow")
    ok = found is not None and Version(found) < Version(PYARROW_LIMIT)
    return _check("pyarrow", ok, found or "not installed", f"< {PYARROW_LIMIT}", REINSTALL)


def _check_jax() -> Check:
    jax, jaxlib = _installed("jax"), _installed("jaxlib")
    same = jax is not None and jax == jaxlib
    return _check("jax with jaxlib", same, f"jax {jax}, jaxlib {jaxlib}", "the same version of both", REINSTALL)


def _check_worker() -> Check:
    spec = util.find_spec("tensorflow_federated")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("tensorflow_federated")
    worker = folder / "data" / "worker_binary"
    if not worker.is_file():
        return Check("TFF worker", False, f"no {worker.name}", "worker_binary, executable", REINSTALL)
    ok = os.access(worker, os.X_OK)
    return _check("TFF worker", ok, "executable" if ok else "not executable", "executable", f"chmod +x {worker}")


def _check_isolation() -> Check:
    """Without a namespace studies run all the same, and say so: this is told, and no fault."""
    command = [sys.executable, "-I", "-S", enclosed.__file__, enclosed.TRY]
    tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    possible = tried.returncode == 0
    found = "network namespace" if possible else "none: workers listen on all interfaces, close them by a firewall"
    return Check("isolation of workers", True, found, "network namespace")


def _check_memory() -> Check:
    free = available_memory()
    if free is None:
        return Check("free memory", True, "unknown", _gigabytes(NEEDED_MEMORY))
    return _check("free memory", free >= NEEDED_MEMORY, _gigabytes(free), f">= {_gigabytes(NEEDED_MEMORY)}",
                  "close other programs, or use fewer clients at once")  # fmt: skip


def _check_scratch() -> Check:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    ok = free >= NEEDED_SCRATCH
    return _check("temporary space", ok, _gigabytes(free), f">= {_gigabytes(NEEDED_SCRATCH)}",
                  f"free space in {folder}, or export TMPDIR=/path/with/space")  # fmt: skip


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _smoke(command: list[str], timeout_seconds: float) -> Check:
    expected = f"one round within {timeout_seconds:g} s"
    started = time.monotonic()
    # A file, not a pipe: the worker inherits it and would hold a pipe open after the child is gone.
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill_group(child)
        said.seek(0)
        lines = said.read().decode(errors="replace").split("\n")
    taken = f"{time.monotonic() - started:.0f} s"
    if code == 0:
        return Check("federated round", True, f"done in {taken}", expected)
    if code is None:
        return Check("federated round", False, f"nothing after {taken}; stopped", expected,
                     "try on an idle machine; see whether a firewall forbids connections to localhost")  # fmt: skip
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing said")
    return Check("federated round", False, f"exit code {code}: {last}", expected, REINSTALL)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and all it started, whether or not the child itself still lives."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        child.wait()


def _run_one_round() -> None:
    """One client, one round of federated averaging (McMahan et al., 2017) of ``y = a x + b``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    import tensorflow_federated as tff

    from tff_affect.learning.runtime import local_runtime

    x = tf.constant([[1.0], [2.0]])
    data = tf.data.Dataset.from_tensor_slices((x, 2.0 * x)).batch(2)

    def model_fn() -> object:
        keras = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="zeros", input_shape=(1,))])
        return tff.learning.models.from_keras_model(
            keras, loss=tf.keras.losses.MeanSquaredError(), input_spec=data.element_spec
        )

    process = tff.learning.algorithms.build_weighted_fed_avg(model_fn, tff.learning.optimizers.build_sgdm(0.1))
    with local_runtime():
        result = process.next(process.initialize(), [data])
        trained = process.get_model_weights(result.state).trainable
    kernel, bias = (float(weight.squeeze()) for weight in trained)
    # One gradient step of 0.1 from zero on the mean of (ax + b - 2x)^2, worked out by hand.
    if abs(kernel - 1.0) > 1e-5 or abs(bias - 0.6) > 1e-5:
        raise SystemExit(f"expected the weights 1.0 and 0.6 after one round, found {kernel} and {bias}")


def main(arguments: list[str], run: Callable[[], None] = _run_one_round) -> int:
    """Entry of the child process: ``--smoke`` runs the round."""
    if arguments != ["--smoke"]:
        print("usage: python -m tff_affect.doctor --smoke", file=sys.stderr)
        return 2
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
