import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import data_prep

MODULES = sorted(module.name for module in pkgutil.walk_packages(data_prep.__path__, "data_prep."))
ALLOWED = ("tff_affect.cohort", "tff_affect.errors", "tff_affect.face_set", "tff_affect.gait_set")


def test_no_module_imports_tensorflow():
    code = "\n".join(
        [
            "import sys",
            *(f"import {name}" for name in MODULES),
            "found = [n for n in sys.modules if n.split('.')[0] in ('tensorflow', 'tensorflow_federated', 'keras')]",
            "sys.exit(str(found) if found else 0)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(data_prep.__path__[0]).parent
    )
    assert done.returncode == 0, done.stderr
    assert "data_prep.recola" in MODULES


def test_only_the_cohort_the_sets_and_the_errors_are_used():
    for file in Path(data_prep.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tff_affect"):
                assert node.module in ALLOWED, f"{file.name}: {node.module}"
