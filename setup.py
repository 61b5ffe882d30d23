"""Metadata of the package. The exact, tested versions are in ``requirements.lock``; ``make`` installs those."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_version() -> str:
    """The version, read without importing the package and its dependencies."""
    source = (ROOT / "tff_affect" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise SystemExit('tff_affect/__init__.py: expected a line __version__ = "...", found none')
    return found.group(1)


def read_readme() -> str:
    """The long description; empty where only a part of the tree is at hand."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="tff-affect",
    version=read_version(),
    description="Federated affect recognition from facial action units with TensorFlow Federated",
    long_description=read_readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["tff_affect*", "data_prep*", "experiments*"]),
    package_data={
        "data_prep": ["column_maps/*.yaml", "skeletons/*.yaml"],
        "experiments": ["configs/*.yaml"],
        "tff_affect.report": ["templates/*"],
    },
    # What is needed, for the reader. jax and jaxlib stand for TensorFlow Federated's own pin jaxlib==0.4.14, which no
    # index serves any more: install from requirements.lock, without resolving.
    install_requires=[
        "tensorflow-federated==0.87.0",
        "tensorflow-privacy==0.9.0",
        "tensorflow>=2.14,<2.15",
        "tensorboard>=2.14,<2.15",
        "setuptools<80.9",
        "jax==0.4.20",
        "dp-accounting>=0.4.3,<0.5",
        "opencv-python==4.11.0.86",
        "numpy>=1.25,<1.26",
        "pandas>=2.2,<3",
        "pyarrow>=21,<26",
        "scipy>=1.9,<1.10",
        "scikit-learn>=1.7,<1.8",
        "threadpoolctl>=3.5",
        "liac-arff>=2.5",
        "dtaidistance>=2.3",
        "dm-tree>=0.1.8,<0.2",
        "tf-keras-vis==0.8.7",
        "cryptography>=42",
        "pillow>=11",
        "omegaconf>=2.3",
        "pyyaml>=6",
        "typer>=0.12",
        "rich>=13",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "fairlearn>=0.12",
    ],
    extras_require={
        "c3d": ["ezc3d>=1.6,<2"],
        "onnx": ["onnx>=1.16,<1.18", "onnxruntime>=1.17", "tf2onnx>=1.17"],
        "video": ["mediapipe==0.10.21", "opencv-contrib-python==4.11.0.86"],
        "test": ["audmetric>=1.4", "hypothesis>=6", "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.5"],
        "lint": ["mypy>=1.10", "pandas-stubs", "ruff>=0.4", "types-PyYAML"],
    },
    entry_points={"console_scripts": ["tff-affect = tff_affect.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
