"""The set-up: metadata that agree, a lock that can be trusted, and failures that are one line."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import tff_affect
from tff_affect import doctor

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.split(r"\n(?=[A-Za-z0-9])", "\n" + "\n".join(x for x in LOCK.splitlines() if not x.startswith("#")))[1:]
PINNED = dict(entry.split()[0].split("==") for entry in ENTRIES)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / ".ci" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared(keyword: str) -> object:
    """A literal argument of the call of ``setup`` in setup.py."""
    calls = [n for n in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if isinstance(n, ast.Call)]
    call = next(c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "setup")
    return ast.literal_eval(next(k.value for k in call.keywords if k.arg == keyword))


# Metadata agree.


def test_one_version_everywhere() -> None:
    version = tff_affect.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    source = (ROOT / "tff_affect" / "__init__.py").read_text()
    assert re.findall(r'^__version__ = "([^"]+)"$', source, re.MULTILINE) == [version]


def test_one_licence_everywhere() -> None:
    assert declared("license") == "Apache-2.0"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_citation_has_what_its_format_demands() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert all("family-names" in author for author in reference["authors"])
    assert [r["authors"][0]["family-names"] for r in citation["references"]] == ["Mase", "Narula", "Malek-Podjaski"]


def test_the_command_is_declared() -> None:
    assert declared("entry_points") == {"console_scripts": ["tff-affect = tff_affect.cli:main"]}
    assert declared("python_requires") == ">=3.11,<3.12"


def test_the_lock_satisfies_every_declared_range() -> None:
    from packaging.requirements import Requirement

    extras = declared("extras_require")
    assert isinstance(extras, dict)
    install = declared("install_requires")
    assert isinstance(install, list)
    for text in [*install, *extras["test"], *extras["lint"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(PINNED[normal(requirement.name)]), text


def test_every_direct_requirement_is_locked() -> None:
    lines = [x for x in (ROOT / "requirements.in").read_text().splitlines() if x and not x.startswith("#")]
    for line in lines:
        assert normal(re.split(r"[<>=\[]", line)[0]) in PINNED, line


def test_the_doctor_and_the_lock_agree() -> None:
    assert {name: PINNED[name] for name in doctor.PINS} == doctor.PINS
    assert int(PINNED["pyarrow"].split(".")[0]) < int(doctor.PYARROW_LIMIT)


# The lock can be trusted.


def test_the_lock_names_no_index() -> None:
    assert not re.search(r"https?://|file:|--(?:extra-)?index-url|--find-links|--trusted-host|@ ", LOCK)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split()[0])
def test_every_package_is_pinned_and_hashed(entry: str) -> None:
    assert re.match(r"[a-z0-9-]+==[0-9][0-9a-z.]* \\\n", entry)
    assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)


def test_the_overrides_are_in_the_lock() -> None:
    for line in (ROOT / "overrides.txt").read_text().split():
        assert f"\n{line} " in LOCK


# Failures are one line.


def make_python(folder: Path, name: str, version: str) -> Path:
    """A stand-in for an interpreter that says which version it is, and does nothing else."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o755)
    return file


def start(arguments: list[str], path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs .ci/python with nothing on PATH but a folder."""
    command = ["/bin/sh", str(ROOT / ".ci" / "python"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": str(path), **variables}, check=False)


@pytest.mark.parametrize(
    ("name", "version", "given"),
    [
        ("python3.9", "3.9", True),
        ("python3", "3.12", False),
        ("python3", "garbage\nand more", False),
        ("python", "3.11", False),
    ],
)
def test_a_wrong_interpreter_is_one_line(name: str, version: str, given: bool, tmp_path: Path) -> None:
    fake = make_python(tmp_path, name, version)
    said = start(["-c", "1"], tmp_path, **({"PYTHON": str(fake)} if given else {}))
    assert said.returncode == 1
    assert said.stdout == ""
    assert len(said.stderr.splitlines()) == 1
    assert "expected Python 3.11, found" in said.stderr
    assert "make PYTHON=" in said.stderr
    if given:
        assert "3.9" in said.stderr


def test_a_python3_that_is_the_right_one_will_do(tmp_path: Path) -> None:
    make_python(tmp_path, "python3.11", "broken shim")
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = -c ] && echo 3.11 || echo "ran $1"\n')
    fake.chmod(0o755)
    said = start(["script.py"], tmp_path)
    assert (said.returncode, said.stdout) == (0, "ran script.py\n")


@pytest.fixture
def checkout(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy of the tree, of which the bootstrap believes that it is the root."""
    for name in ("requirements.lock", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    monkeypatch.setattr(bootstrap.sys, "argv", ["bootstrap.py"])
    return tmp_path


def refused(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> str:
    assert bootstrap.main() == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith("set-up failed: ")
    return said


@pytest.mark.parametrize(
    ("target", "value", "words"),
    [
        ("sys.version_info", (3, 9, 2), "expected CPython 3.11"),
        ("platform.python_implementation", "PyPy", "found PyPy"),
        ("platform.system", "Darwin", "expected Linux x86_64, found Darwin"),
        ("platform.machine", "aarch64", "expected Linux x86_64, found Linux aarch64"),
        ("platform.libc_ver", ("glibc", "2.28"), "expected glibc 2.31 or newer, found glibc 2.28"),
        ("platform.libc_ver", ("", ""), "expected glibc 2.31 or newer, found none"),
        ("NEEDED_BYTES", 10**18, "expected 5 GB of free disk"),
    ],
)
def test_a_machine_that_will_not_do_is_one_line(
    target: str,
    value: object,
    words: str,
    bootstrap: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    owner = bootstrap
    *path, last = target.split(".")
    for name in path:
        owner = getattr(owner, name)
    monkeypatch.setattr(owner, last, value if last in ("version_info", "NEEDED_BYTES") else lambda: value)
    assert words in refused(bootstrap, capsys)
    assert not (checkout / ".venv").exists()


INSTALLER_WORDS = {
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.": "hash differs",
    "error: Failed to download `numpy`\n cause: Hash mismatch for `numpy==1.25.2`": "hash differs",
    "ERROR: Could not find a version (from versions: none)\nERROR: No matching distribution found for x": "no file of",
    "cause: Because sqlalchemy==1 has no usable wheels and you require it": "no file of",
    "WARNING: Retrying: NewConnectionError(...)\nERROR: No matching distribution found for x": "to be reachable",
    "cause: client error (Connect)\n cause: Connection refused (os error 111)": "to be reachable",
    "cause: invalid peer certificate: UnknownIssuer": "to be reachable",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "disk filled up",
    "something never seen before": "the installer failed",
}


@pytest.mark.parametrize("words", INSTALLER_WORDS)
def test_an_installer_that_fails_is_explained_in_one_line(
    words: str,
    bootstrap: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tools = checkout / "tools"
    tools.mkdir()
    # Stands in for uv: fails at the first package with the given words.
    (tools / "uv").write_text(f"#!/bin/sh\ncat <<'WORDS'\n{words}\nWORDS\nexit 2\n")
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(checkout))
    said = refused(bootstrap, capsys)
    assert INSTALLER_WORDS[words] in said
    assert ".venv/install.log" in said
    assert words.splitlines()[0] in (checkout / ".venv" / "install.log").read_text()
    assert not (checkout / ".venv" / ".ready").exists()


def test_a_finished_install_is_repeated_only_for_a_reason(
    bootstrap: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = checkout / "calls"
    (checkout / "uv").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    (checkout / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{checkout}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(checkout))

    def installs() -> list[str]:
        calls.write_text("")
        assert bootstrap.main() == 0
        return ["project" if " -e " in call else "lock" for call in calls.read_text().splitlines()]

    everything = ["lock", "lock", "project"]
    assert installs() == everything
    assert installs() == []
    (checkout / "setup.py").write_text("# changed")
    assert installs() == ["project"]
    with open(checkout / "requirements.lock", "a") as lock:
        lock.write("\n# changed\n")
    assert installs() == everything
    (checkout / ".venv" / ".ready").unlink()  # as after an interruption
    assert installs() == everything
    assert installs() == []


def test_the_tools_that_build_are_taken_from_the_lock_with_their_hashes(bootstrap: ModuleType) -> None:
    chosen = bootstrap.select_requirements(LOCK, bootstrap.BUILD_TOOLS)
    assert re.findall(r"(?m)^([a-z-]+)==", chosen) == ["setuptools", "wheel"]
    assert chosen.count("--hash=sha256:") >= 2


def test_the_bootstrap_takes_no_argument(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "argv", ["bootstrap.py", "--help"])
    assert bootstrap.main() == 2


def test_the_scripts_can_be_started() -> None:
    for name in ("run", "python"):
        assert os.access(ROOT / ".ci" / name, os.X_OK)
    said = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "lint", "lock", "clean", "help"):
        assert re.search(rf"(?m)^{target} ", said)
