"""Tables in terminals that are too narrow for them."""

import pytest
from rich.console import Console

from search.cli import output

TEXT = "c16k3g1 | c32k3g1 c32k3g1 | c64k5g1 c64k5g1 c64k5g1 | c128k5g2 c128k5g2 c128k5g2"
COLUMNS = ("accuracy", "test accuracy", "OPs", "parameters", "size", "stage", "id", "architecture")
ROW = ("77.16 %", "75.77 %", "107 K", "764 K", "123 KB", "finetuned", "425f7269bdf1", TEXT)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_narrow_terminal_has_ids_whole_and_text_forms_on_lines_of_their_own(width, monkeypatch, capsys):
    monkeypatch.setattr(output, "stdout", lambda: Console(width=width, force_terminal=True))
    output.print_table(COLUMNS, [ROW], left=(5, 6, 7), wrapped=7)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= width
    named = next(number for number, line in enumerate(lines) if "425f7269bdf1" in line)
    assert "c16k3g1" not in lines[named]
    assert " ".join(lines[named + 1 :]) == TEXT
