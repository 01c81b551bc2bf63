"""The command line: help, exit codes, bad input, and each command on the shipped sample."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from bondlore.cli import COMMANDS, main

TEXT = "Treasuries sank as hedge funds were forced to unwind basis trades to meet margin calls."


def run(*args, stdin=None, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "bondlore", *map(str, args)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"bondlore {name}" in capsys.readouterr().out.split("example:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_mentions_every_command(name, root):
    assert f"`{name}`" in (root / "README.md").read_text()


def test_usage_errors_exit_with_2(capsys):
    assert main([]) == 2
    assert main(["nonsense"]) == 2
    with pytest.raises(SystemExit) as caught:
        main(["classify"])
    assert caught.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["classify", "no/such/file.txt"], "no/such/file.txt: no such file"),
        (["classify", "x y", "--model", "/nowhere"], "/nowhere: is not a bondlore model"),
        (["classify", "http://127.0.0.1/x"], "127.0.0.1"),
        (["tag", "missing.jsonl", "--out", "{tmp}/o"], "missing.jsonl"),
        (["tag", "missing.jsonl"], "no output folder"),
        (["share", "{tmp}/no.db"], "no.db"),
        (["report", "--db", "{tmp}/no.db"], "no.db"),
        (["report", "--tagged", "{tmp}/no"], "no: is no folder; name one that bondlore tag --out has written"),
        (["import", "{tmp}/no.csv", "--db", "{tmp}/a.db"], "no.csv"),
        (["ingest", "--feeds", "{tmp}/no.opml", "--db", "{tmp}/a.db"], "no.opml"),
        (["labels", "check", "{tmp}/no.jsonl"], "no.jsonl: cannot be read"),
        (["train", "{tmp}/no.jsonl", "--out", "{tmp}/m"], "no.jsonl: cannot be read"),
        (["evaluate", "/nowhere", "x.jsonl"], "/nowhere: is not a bondlore model"),
        (["search", "x", "--db", "{tmp}/no.db"], "no.db"),
        (["yields", "--file", "{tmp}/no.csv"], "no.csv"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_1(args, words, tmp_path, capsys):
    assert main([a.format(tmp=tmp_path) for a in args]) == 1
    err = capsys.readouterr().err.strip()
    assert words in err
    assert err.splitlines()[-1].startswith(f"bondlore {args[0]}: error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"\x00\x01\x02", "is not text"), (b"x" * 5_000_001, "larger than")],
)
def test_classify_refuses_what_is_not_an_article(content, words, tmp_path, capsys):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert main(["classify", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_classify_reads_text_file_and_standard_input_alike(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    results = [
        json.loads(done.stdout)
        for done in (
            run("classify", TEXT, "--json"),
            run("classify", path, "--json"),
            run("classify", "-", "--json", stdin=TEXT),
        )
    ]
    assert results[0] == results[1] == results[2]
    assert results[0]["narratives"]["deleveraging"]["verdict"] == "promotes"


def test_classify_reads_a_page_by_its_address(tmp_path, capsys):
    import functools
    import threading
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    body = "".join(f"<p>{TEXT} Dealers in New York said that trading was thin on day {i}.</p>" for i in range(6))
    head = "<head><title>Bonds slide</title></head>"
    page = f"<html>{head}<body><article><h1>Bonds slide</h1>{body}</article></body></html>"
    (tmp_path / "story.html").write_text(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/story.html"
        assert main(["classify", url, "--allow-private", "--json"]) == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    found = json.loads(capsys.readouterr().out)
    assert found["title"] == "Bonds slide"
    assert found["primary"] == "deleveraging"


def test_a_paragraph_as_the_argument_is_a_text(capsys):
    """Longer than any file name may be."""
    assert main(["classify", TEXT + " The 10-year yield was little changed on the day in quiet trade." * 8]) == 0
    assert "Deleveraging: promotes" in capsys.readouterr().out


def test_classify_shows_evidence_to_a_person(capsys):
    assert main(["classify", TEXT]) == 0
    out = capsys.readouterr().out
    assert "Deleveraging: promotes" in out
    assert "basis trades" in out


def test_classify_starts_fast():
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        assert run("classify", TEXT).returncode == 0
        best = min(best, time.perf_counter() - start)
    assert best < 2.0


def test_the_real_article_that_began_it(shared, capsys):
    (path,) = (shared / "seed").glob("*.txt")
    assert main(["classify", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["narratives"]
    for narrative in ("tariff_inflation", "deleveraging", "foreign_selling"):
        assert found[narrative]["verdict"] in ("promotes", "contested")
        assert found[narrative]["evidence"]


def test_store_commands_in_order(root, tmp_path, capsys):
    db = str(tmp_path / "n.db")
    archive = str(root / "corpus" / "sample" / "archive.jsonl")
    assert main(["import", archive, "--db", db]) == 0
    assert "169 new articles" in capsys.readouterr().out
    assert main(["import", archive, "--db", db]) == 0
    assert "0 new articles" in capsys.readouterr().out
    assert main(["tag", "--db", db]) == 0
    assert "169 articles tagged" in capsys.readouterr().out
    assert main(["tag", "--db", db]) == 0
    assert "0 articles tagged" in capsys.readouterr().out
    assert main(["share", db, "--freq", "M", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["narrative"] for r in rows} >= {"deleveraging", "foreign_selling"}
    assert all(r["share"] is None or 0 <= r["low"] <= r["share"] <= r["high"] <= 1 for r in rows)
    assert main(["search", "basis trade", "--db", db]) == 0
    assert "2025-04" in capsys.readouterr().out
    asked = ["report", "--db", db, "--date", "2025-04-11", "--out", str(tmp_path / "r"), "--formats", "md,json,txt"]
    assert main([*asked, "--interactive", "--in-sample", "2025-04-07:2025-04-09"]) == 0
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == [
        "interactive.html",
        "report.json",
        "report.md",
        "report.txt",
    ]
    made = json.loads((tmp_path / "r" / "report.json").read_text())
    assert made["in_sample"] == [{"start": "2025-04-07", "end": "2025-04-09"}]
    assert made["quality"]["low_confidence"] == 0


def test_share_writes_every_column(root, tmp_path, capsys):
    db = str(tmp_path / "n.db")
    main(["import", str(root / "corpus" / "sample" / "archive.jsonl"), "--db", db])
    main(["tag", "--db", db])
    for kind in ("csv", "parquet", "json"):
        assert main(["share", db, "--out", str(tmp_path / f"s.{kind}")]) == 0
        assert (tmp_path / f"s.{kind}").stat().st_size > 500
    assert main(["share", db, "--out", str(tmp_path / "s.xls")]) == 1
    capsys.readouterr()


def test_an_empty_store_has_no_report(tmp_path, capsys):
    from bondlore import Store

    Store.open(tmp_path / "n.db").close()
    assert main(["report", "--db", str(tmp_path / "n.db")]) == 1
    assert "holds no tagged article" in capsys.readouterr().err


def test_numbers_of_one_model_do_not_go_out_under_anothers_name(root, tmp_path, capsys):
    import shutil

    db = str(tmp_path / "n.db")
    main(["import", str(root / "corpus" / "sample" / "archive.jsonl"), "--limit", "5", "--db", db])
    main(["tag", "--db", db])
    other = tmp_path / "m"
    shutil.copytree(root / "models" / "default", other)
    data = json.loads((other / "bondlore.json").read_text())
    data["calibration"]["threshold"][0] += 0.01
    (other / "bondlore.json").write_text(json.dumps(data))
    assert main(["share", db, "--model", str(other)]) == 1
    assert "was tagged by" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["tag", "{empty}", "--out", "{tmp}/out"], ["import", "{empty}", "--db", "{tmp}/n.db"]]
)
def test_an_empty_archive_leaves_nothing_behind(command, tmp_path, capsys):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert main([a.format(empty=empty, tmp=tmp_path) for a in command]) == 1
    assert "empty.jsonl" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["empty.jsonl"]


@pytest.mark.parametrize("command", ["demo", "report"])
def test_an_output_that_is_a_file_is_one_clear_line(command, root, tmp_path, capsys):
    (tmp_path / "f").write_text("x")
    args = ["demo"]
    if command == "report":
        db = str(tmp_path / "n.db")
        main(["import", str(root / "corpus" / "sample" / "archive.jsonl"), "--limit", "30", "--db", db])
        main(["tag", "--db", db])
        args = ["report", "--db", db]
    assert main([*args, "--out", str(tmp_path / "f")]) == 1
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith(f"bondlore {command}: error: ")
    assert str(tmp_path / "f") in err


def test_yields_shows_the_last_days(capsys):
    assert main(["yields", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[-1]) == {"date", "2Y", "10Y", "30Y"}


def test_doctor_finds_nothing_bad(tmp_path, capsys):
    assert main(["doctor", "--db", str(tmp_path / "n.db")]) == 0
    out = capsys.readouterr().out
    assert "hashes match" in out
    assert "int8 (" in out or "fp32 (" in out
    assert "BAD" not in out


def test_doctor_knows_every_extra(root):
    import tomllib

    from bondlore.cli.doctor import _EXTRAS

    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(_EXTRAS) == set(extras) - {"dev"}


def test_doctor_finds_nothing_bad_in_a_model_without_what_training_opens(root, tmp_path, capsys):
    """As `export --to onnx` writes it."""
    import shutil

    (small := tmp_path / "small").mkdir()
    for name in ("bondlore.json", "model.onnx", "tokenizer.json"):
        shutil.copy(root / "models" / "default" / name, small)
    assert main(["doctor", "--model", str(small), "--db", str(tmp_path / "n.db")]) == 0
    assert "only what tagging opens" in capsys.readouterr().out
    shutil.copy(root / "models" / "default" / "head.safetensors", small)
    assert main(["doctor", "--model", str(small), "--db", str(tmp_path / "n.db")]) == 1


def test_doctor_names_a_tampered_model(root, tmp_path, capsys):
    import shutil

    broken = tmp_path / "m"
    shutil.copytree(root / "models" / "default", broken)
    with (broken / "tokenizer.json").open("a") as handle:
        handle.write(" ")
    assert main(["doctor", "--model", str(broken), "--db", str(tmp_path / "n.db")]) == 1
    out = capsys.readouterr().out
    assert "hash differs" in out
    assert "→" in out
