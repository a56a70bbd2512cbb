"""Flipped bits, lost and swapped lines: found, named with file and line, never taken for what was measured."""

import json
import random
from pathlib import Path

import pytest

from analysis.runs.journal import journal_rows
from analysis.runs.journal_lines import JournalError
from analysis.runs.layout import RunError
from analysis.runs.schema import write_trials
from analysis.runs.trials import load_trials
from search.runs.journal import mend_journal
from search.runs.study import read_records


def facts(records) -> list[tuple]:
    return [(r.number, r.id, r.state, r.values, r.metrics, r.seed) for r in records]


@pytest.fixture(scope="module")
def journal(pretended, tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    pretended(folder, 6, 3).run()
    return (folder / "journal.log").read_bytes()


def flipped(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


def test_any_flipped_bit_of_a_journal_is_found(journal, tmp_path):
    file = tmp_path / "journal.log"
    file.write_bytes(journal)
    whole = facts(read_records(file))
    last = journal[:-1].rfind(b"\n") + 1
    rng = random.Random(0)
    places = {(rng.randrange(len(journal)), rng.randrange(8)) for _ in range(400)}
    places |= {(position, bit) for position in range(last, len(journal)) for bit in (0, 5)}  # all of the last line
    found = 0
    for position, bit in sorted(places):
        file.write_bytes(flipped(journal, position, bit))
        number = journal[:position].count(b"\n") + 1
        if position == len(journal) - 1:  # its end is gone: a line that is not whole is not there
            mend_journal(file)
            assert file.read_bytes() == journal[:last]
            continue
        for read in (read_records, journal_rows):
            with pytest.raises(JournalError) as refused:
                read(file)
            told = str(refused.value)
            assert str(file) in told
            named = int(told.partition("line ")[2].split()[0])
            assert named in (number, number + 1), told  # a flip may make two lines of one, or one of two
        found += 1
    assert found > 400
    file.write_bytes(journal)
    assert facts(read_records(file)) == whole


@pytest.mark.parametrize("change", ["lost", "twice", "swapped", "empty", "cut", "foreign"])
def test_lines_that_are_not_as_they_were_written(journal, tmp_path, pretended, change):
    lines = journal.splitlines(keepends=True)
    changed = {
        "lost": [*lines[:7], *lines[8:]],
        "twice": [*lines[:8], *lines[7:]],
        "swapped": [*lines[:7], lines[8], lines[7], *lines[9:]],
        "empty": [*lines[:7], b"\n", *lines[7:]],
        "cut": [*lines[:7], lines[7][:20] + b"\n", *lines[8:]],
        "foreign": [*lines[:7], b"hello\n", *lines[7:]],
    }[change]
    file = tmp_path / "journal.log"
    file.write_bytes(b"".join(changed))
    for open_it in (lambda: read_records(file), lambda: journal_rows(file), lambda: pretended(tmp_path, 6, 3)):
        with pytest.raises(JournalError, match=r"line \d+ of .*journal\.log (is damaged|is not an operation)"):
            open_it()
    assert file.read_bytes() == b"".join(changed), "nothing was cut away to make it fit"


def test_lines_of_others_and_of_before_there_were_checksums_are_taken(journal, tmp_path, pretended):
    """A note written in optuna-dashboard, and a run that an older version began."""
    file = tmp_path / "journal.log"
    lines = journal.splitlines(keepends=True)
    bare = []
    for line in lines[:12]:
        record = json.loads(line)
        del record["crc32"]
        bare.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    note = {"op_code": 2, "worker_id": "dashboard-1", "study_id": 0, "user_attr": {"note": "promising"}}
    file.write_bytes(b"".join(bare) + json.dumps(note).encode() + b"\n")
    assert len(pretended(tmp_path, 6, 3).run()) == 6
    assert all(b'"crc32"' in line for line in file.read_bytes().splitlines()[13:])
    with file.open("ab") as end:
        end.write(json.dumps(note).encode() + b"\n")
    assert len(pretended(tmp_path, 9, 3).run()) == 9
    assert [row["state"] for row in journal_rows(file)] == ["finished"] * 9


def test_a_line_of_ours_that_lost_its_checksum_is_damaged(journal, tmp_path):
    lines = journal.splitlines(keepends=True)
    lines[9] = lines[9].replace(b'"crc32"', b'"crc31"')
    file = tmp_path / "journal.log"
    file.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=r"line 10 .* its checksum is missing"):
        read_records(file)


def test_any_flipped_bit_of_a_table_is_found(journal, tmp_path):
    source = tmp_path / "journal.log"
    source.write_bytes(journal)
    file = tmp_path / "trials.parquet"
    write_trials(journal_rows(source), file)
    whole, data = load_trials(file), file.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        file.write_bytes(flipped(data, rng.randrange(len(data)), rng.randrange(8)))
        try:
            found = load_trials(file)
        except RunError as error:
            refused += str(file) in str(error)
        else:  # in the name under which the digest stands: nothing else can have changed
            assert found.equals(whole)
    assert refused > 390
    for cut in (0, 1, 4, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:cut])
        with pytest.raises(RunError, match=str(file)):
            load_trials(file)


def test_old_formats_are_still_read():
    """One stored artefact of every format version; they are never written anew."""
    artefacts = Path(__file__).parents[1] / "analysis" / "artefacts"
    assert len(load_trials(artefacts / "trials-v1.parquet"))
    assert journal_rows(artefacts / "journal-optuna-5.log")
    assert read_records(artefacts / "journal-optuna-5.log")
