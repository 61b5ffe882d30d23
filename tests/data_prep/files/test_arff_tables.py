import pytest

from data_prep.files.arff_tables import read_arff
from tff_affect.errors import InputError


@pytest.mark.parametrize("kind", ["STRING", "{sad,glad}"])
@pytest.mark.parametrize("first", ["?", "sad"])
def test_text_is_refused_with_its_line_whatever_comes_first(kind, first, tmp_path):
    rows = f"{first}\nglad\n" if first == "?" else "sad\n?\n"
    (tmp_path / "a.arff").write_text(f"@RELATION r\n@ATTRIBUTE mood {kind}\n@DATA\n{rows}")
    table = read_arff(tmp_path / "a.arff")
    line = 5 if first == "?" else 4
    with pytest.raises(InputError, match=rf"line {line}: attribute 'mood': expected numbers, found '(glad|sad)'"):
        table.numbers("mood")
