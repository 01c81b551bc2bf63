"""Conversion: every form there and back, golden files both ways, and the offsets other tools write."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.errors import InputError, LabelError
from bondlore.train.labelling import convert, flat, label_studio
from bondlore.train.labelling.spans import assign, stances, to_utf16
from bondlore.train.labels import LabelledArticle, parse, read_all

NAMES = {
    "native": "native.jsonl",
    "csv": "flat.csv",
    "flat": "flat.jsonl",
    "label-studio": "label_studio.json",
    "doccano": "doccano.jsonl",
    "argilla": "argilla.json",
}


@pytest.fixture
def golden(root):
    return root / "tests" / "golden" / "labels"


@pytest.fixture
def narratives(golden):
    return taxonomy.load(golden / "taxonomy.yaml")


@pytest.mark.parametrize("form", NAMES)
def test_golden_files_hold_the_same_articles(golden, narratives, form):
    found = convert.read(golden / NAMES[form], narratives)  # the form is found out
    told = form not in convert.FORGETS
    assert found == [replace(a, pending=a.pending and told) for a in convert.read(golden / "native.jsonl", narratives)]
    assert [a.pending for a in found] == [False] * 4 + [told]
    assert found[3].extra["inclusion_prob"] == 0.25


@pytest.mark.parametrize("form", NAMES)
def test_golden_files_are_what_is_written(golden, narratives, tmp_path, form):
    out = tmp_path / NAMES[form]
    convert.write(convert.read(golden / "native.jsonl", narratives), out, form, narratives)
    assert out.read_bytes() == (golden / NAMES[form]).read_bytes()
    if form == "label-studio":
        assert out.with_suffix(".xml").read_bytes() == (golden / "label_studio.xml").read_bytes()


def test_a_data_set_on_disk_there_and_back(golden, narratives, tmp_path):
    pytest.importorskip("datasets")
    articles = convert.read(golden / "native.jsonl", narratives)
    convert.write(articles, tmp_path / "d", "datasets", narratives)
    assert convert.read(tmp_path / "d", narratives) == articles
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("form", [*NAMES, "datasets"])
def test_the_shipped_labels_survive_every_form(root, tmp_path, form):
    if form == "datasets":
        pytest.importorskip("datasets")
    shipped = taxonomy.load()
    articles = read_all([root / "corpus" / "labels" / n for n in ("denials.jsonl", "passages.dev.jsonl")], shipped)
    out = tmp_path / NAMES.get(form, "folder")
    convert.write(articles, out, form, shipped)
    assert convert.read(out, shipped, form) == articles


def one(text="A 📈 rose.\nFunds sold.", *spans, **data):
    """A task as Label Studio exports it: the text, and (start, end, quoted, label) regions."""
    result = [
        {"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual"}
        | {"value": {"start": s, "end": e, "labels": [label]} | ({"text": quoted} if quoted else {})}
        for s, e, quoted, label in spans
    ]
    annotation = {"id": 9, "completed_by": 3, "was_cancelled": False, "result": result}
    return {"id": 5, "data": {"text": text, **data}, "annotations": [annotation], "predictions": []}


def labels_of(task):
    ((_, row),) = label_studio.read([("f.json:1", task)])
    return row["sentences"], row["labels"]


def test_utf16_offsets_by_hand():
    """The chart sign is two UTF-16 units: "Funds sold." begins at 11 in the browser, at 10 in Python."""
    assert to_utf16("A📈b") == [0, 1, 3, 4]
    sentences, labels = labels_of(one("A 📈 rose.\nFunds sold.", (11, 22, "Funds sold.", "b")))
    assert sentences == ["", "A 📈 rose.", "Funds sold."]
    assert labels == {"2": {"b": "support"}}


def test_offsets_in_characters_are_told_by_the_text_they_quote():
    assert labels_of(one("A 📈 rose.\nFunds sold.", (10, 21, "Funds sold.", "b:reject")))[1] == {"2": {"b": "reject"}}


@pytest.mark.parametrize("start", [12, 10])  # counted with the carriage returns, and without
def test_carriage_returns_do_not_shift_a_span(start):
    sentences, labels = labels_of(one("One.\r\nTwo.\r\nThree.", (start, start + 6, "Three.", "a")))
    assert (sentences, labels) == (["", "One.", "Two.", "Three."], {"3": {"a": "support"}})


@pytest.mark.parametrize(
    "span",
    [
        (10, 20, "Funds sold.", "b"),  # quotes another text
        (0, 99, "", "b"),  # leaves the text
        (5, 5, "", "b"),  # empty
    ],
)
def test_a_span_that_fits_no_reading_is_refused(span):
    with pytest.raises(LabelError, match=r"does not hold the text it quotes") as caught:
        labels_of(one("📈📈 x\nFunds sold.", span))
    assert caught.value.where == "f.json:1"


def test_a_span_over_two_sentences_labels_both_and_a_blank_touch_neither():
    assert assign("One.\nTwo.\n\nThree.", [(2, 7, "a"), (9, 10, "b"), (0, 3, "a")]) == {0: ["a"], 1: ["a"]}


def test_none_alone_is_no_label():
    assert stances(["none"], "w") == {}
    with pytest.raises(LabelError, match="carries 'none' and a"):
        stances(["none", "a"], "w")


def test_choices_label_a_task_of_one_sentence_only():
    def choose(text):
        task = one(text)
        task["annotations"][0]["result"] = [
            {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["a", "b:reject"]}},
            {"from_name": "gate", "to_name": "text", "type": "choices", "value": {"choices": ["causal"]}},
        ]
        return task

    ((_, row),) = label_studio.read([("f.json:1", choose("One."))])
    assert row["labels"] == {"1": {"a": "support", "b": "reject"}}
    assert (row["gate"], row["annotator"], row["id"]) == ("causal", "user-3", "5")
    with pytest.raises(LabelError, match="several sentences"):
        labels_of(choose("One.\nTwo."))


def test_each_annotation_is_an_annotator_and_a_cancelled_one_none(narratives, tmp_path):
    task = one("One.\nTwo.", (0, 4, "One.", "a"))
    other = one("One.\nTwo.", (5, 9, "Two.", "b"))["annotations"][0] | {"completed_by": {"id": 4, "email": "q@x.org"}}
    task["annotations"] += [other, other | {"was_cancelled": True}]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task, {"id": 6, "data": {"text": "Not yet read."}, "annotations": []}]))
    found = convert.read(path, narratives)
    assert [(a.id, a.annotator, dict(a.labels), a.pending) for a in found] == [
        ("5", "user-3", {1: {"a": "support"}}, False),
        ("5", "q@x.org", {2: {"b": "support"}}, False),
        ("6", "", {}, True),
    ]


def test_doccano_rows_written_by_doccano(narratives, tmp_path):
    path = tmp_path / "d.jsonl"
    rows = [
        {"id": 7, "text": "A 📈 rose.\nFunds sold.", "label": [[10, 21, "b"]], "Comments": []},
        {"id": 8, "text": "Prices up.", "label": ["a"]},
        {"id": 9, "text": "Up.", "entities": [{"id": 1, "label": "a", "start_offset": 0, "end_offset": 3}]},
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = convert.read(path, narratives)
    assert [(a.id, a.sentences, dict(a.labels)) for a in found] == [
        ("doccano-7", ("", "A 📈 rose.", "Funds sold."), {2: {"b": "support"}}),
        ("doccano-8", ("", "Prices up."), {1: {"a": "support"}}),
        ("doccano-9", ("", "Up."), {1: {"a": "support"}}),
    ]
    path.write_text(json.dumps({"id": 1, "text": "Up.", "label": [[0, 9, "a"]]}) + "\n")
    with pytest.raises(LabelError, match="leaves the text"):
        convert.read(path, narratives)


def test_argilla_answers_of_two_people_and_an_open_record(narratives, tmp_path):
    def record(i, status, **answers):
        responses = {"labels": [{"value": v, "user_id": u} for u, v in answers.items()]} if answers else {}
        return {"id": str(i), "fields": {"text": f"Text {i}."}, "responses": responses, "status": status}

    path = tmp_path / "r.json"
    path.write_text(json.dumps([record(1, "completed", p=["a"], q=["b"]), record(2, "pending")]))
    assert [(a.id, a.annotator, dict(a.labels), a.pending) for a in convert.read(path, narratives)] == [
        ("1", "p", {1: {"a": "support"}}, False),
        ("1", "q", {1: {"b": "support"}}, False),
        ("2", "", {}, True),
    ]


def test_an_article_answered_in_part_is_not_labelled_yet(narratives, tmp_path):
    def record(i, status):
        meta = {"article": "x", "sentence": i}
        responses = {"labels": [{"value": ["a"], "user_id": "p"}]} if status == "completed" else {}
        fields = {"text": f"Text {i}."}
        return {"id": str(i), "fields": fields, "metadata": meta, "responses": responses, "status": status}

    path = tmp_path / "r.json"
    path.write_text(json.dumps([record(1, "completed"), record(2, "pending")]))
    (article,) = convert.read(path, narratives)
    assert article.sentences == ("", "Text 1.", "Text 2.")
    assert article.pending


def test_an_answer_in_argilla_that_nothing_is_carried(narratives, tmp_path):
    """Its server refuses an empty list, so the answer is the label `none`."""
    made = flat.write_argilla([LabelledArticle("x", ("", "One."), {})])
    assert [r["responses"]["labels"][0]["value"] for r in made] == [["none"]]
    draft = {"value": ["b"], "user_id": "q", "status": "discarded"}
    made[0]["responses"]["labels"].append(draft)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(made))
    (article,) = convert.read(path, narratives)
    assert (article.labels, article.pending) == ({}, False)


def regions(*result, text="One.\nTwo."):
    task = one(text)
    task["annotations"][0]["result"] = list(result)
    return task


def test_relations_and_remarks_are_no_labels_and_no_error():
    task = regions(
        {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"},
        {"type": "textarea", "from_name": "remark", "to_name": "text", "value": {"text": ["odd"]}},
        one("One.\nTwo.", (5, 9, "Two.", "b"))["annotations"][0]["result"][0],
    )
    assert labels_of(task)[1] == {"2": {"b": "support"}}


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (regions({"type": "taxonomy", "value": {"taxonomy": [["a"]]}}), "the kind 'taxonomy' are not read"),
        (regions({"type": "choices", "value": {"choices": ["a"]}}, text=" "), "the whole text, which is empty"),
        (
            one("One.", (0, 2, "On", "a"), (2, 4, "e.", "a:reject")),
            "both supports and denies 'a'",
        ),
    ],
)
def test_labels_that_would_be_lost_are_refused(task, reason):
    with pytest.raises(LabelError, match=reason):
        labels_of(task)


def test_a_text_under_another_name_is_found(narratives, tmp_path):
    task = one("x", (0, 4, "One.", "a"))
    task["data"] = {"sentence": "One."}
    path = tmp_path / "t.json"
    path.write_text(json.dumps([task]))
    assert [(a.sentences, a.labels) for a in convert.read(path, narratives)] == [(("", "One."), {1: {"a": "support"}})]


def test_json_min_is_named_for_what_it_is(narratives, tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"id": 1, "text": "One.", "label": [], "annotation_id": 2, "lead_time": 3.5}]))
    with pytest.raises(LabelError, match="JSON-MIN; export the project as JSON"):
        convert.read(path, narratives)


def test_the_labelling_interface_is_xml_whatever_the_names_hold():
    from lxml import etree

    odd = {"name": "t", "narratives": [{"id": "a", "name": 'S&P "<rout>"', "colour": "#123456"}]}
    tree = etree.fromstring(label_studio.config(taxonomy.parse(odd, where="t")))
    assert [(x.get("value"), x.get("hint"), x.get("background")) for x in tree.iter("Label")] == [
        ("a", 'S&P "<rout>"', "#123456"),
        ("a:reject", 'S&P "<rout>" (denied)', "#123456"),
    ]
    assert [x.get("value") for x in tree.iter("Choice")] == ["causal", "topical", "off_topic", "a", "none"]


def test_a_suggested_article_waits_in_label_studio(narratives):
    """A task with an empty annotation would count as labelled there, and nobody would be asked."""
    (task,) = label_studio.write([LabelledArticle("x", ("", "One."), {}, pending=True, extra={"why": "unsure"})])
    assert (task["annotations"], task["data"]["why"]) == ([], "unsure")


def test_a_class_of_doccano_as_one_word(narratives, tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"text": "One.", "label": "a"}\n')
    assert [a.labels for a in convert.read(path, narratives)] == [{1: {"a": "support"}}]
    path.write_text('{"text": "One.", "label": 3}\n')
    with pytest.raises(LabelError, match="the label is 3"):
        convert.read(path, narratives)


def test_one_annotators_labels(golden, tmp_path, capsys):
    given = ["labels", "convert", str(golden / "label_studio.json"), "--taxonomy", str(golden / "taxonomy.yaml")]
    out = tmp_path / "n.jsonl"
    assert main([*given, "--to", "native", "--annotator", "bob", "--out", str(out)]) == 0
    (row,) = map(json.loads, out.read_text().splitlines())
    assert (row["annotator"], row["labels"]) == ("bob", {"2": {"b": "reject"}})
    assert main([*given, "--to", "native", "--annotator", "zoe", "--out", str(tmp_path / "z.jsonl")]) == 1
    assert "hold no labels of 'zoe'; they are of '', 'ann', 'bob'" in capsys.readouterr().err


def test_flat_rows_with_a_hole_are_refused(narratives, tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("text,labels,article,sentence\nOne,a,x,1\nThree,,x,3\n")
    with pytest.raises(LabelError, match="sentence 2 of 'x' is missing"):
        convert.read(path, narratives)
    path.write_text("text,labels,article,sentence\nOne,a,x,1\nThree,,x,1\n")
    with pytest.raises(LabelError, match="no new number") as caught:
        convert.read(path, narratives)
    assert caught.value.where == f"{path}:3"


def test_plain_flat_rows_are_articles_of_their_own(narratives, tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("text,labels\nOne,a\nTwo,\n")
    assert [a.sentences for a in convert.read(path, narratives)] == [("", "One"), ("", "Two")]


def test_nothing_is_overwritten_and_nothing_lossy_is_left(narratives, tmp_path):
    # a label on an empty title has no span
    article = LabelledArticle("x", ("", "One."), {0: {"a": "support"}})
    with pytest.raises(LabelError, match="'x' would not read back from doccano"):
        convert.write([article], tmp_path / "out", "doccano", narratives)
    assert not list(tmp_path.iterdir())
    convert.write([article], tmp_path / "out", "native", narratives)
    with pytest.raises(InputError, match="is there already"):
        convert.write([article], tmp_path / "out", "native", narratives)


def test_the_command(golden, tmp_path, capsys):
    given = [str(golden / "native.jsonl"), "--taxonomy", str(golden / "taxonomy.yaml")]
    there, back = str(tmp_path / "t.json"), str(tmp_path / "n.jsonl")
    assert main(["labels", "convert", *given, "--to", "label-studio", "--out", there]) == 0
    assert main(["labels", "convert", there, *given[1:], "--to", "native", "--out", back, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["labels"] == 6
    assert (tmp_path / "n.jsonl").read_bytes() == (golden / "native.jsonl").read_bytes()
    assert main(["labels", "convert", there, "--to", "native", "--out", str(tmp_path / "x")]) == 1
    assert "unknown narrative 'a'" in capsys.readouterr().err


WORDS = ["a", "b:reject", "", "1", "One.\nTwo.", "text", "labels", "value"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["id", "text", "labels", "label", "entities", "sentences", "article", "sentence", "extra", "taxonomy", "gate"]
REGION = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["labels", "choices", "x"]) | JSON, "from_name": JSON, "value": JSON}
)
TASK = st.fixed_dictionaries(
    {"data": st.dictionaries(st.sampled_from(["text", "title", "id"]), JSON) | JSON},
    optional={"annotations": st.lists(st.fixed_dictionaries({"result": st.lists(REGION, max_size=2) | JSON})) | JSON},
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "fields": st.fixed_dictionaries({"text": JSON}) | JSON,
        "metadata": st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
        "responses": st.fixed_dictionaries({"labels": JSON}) | JSON,
        "status": JSON,
    },
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), JSON), TASK, RECORD)
def test_whatever_a_row_holds_it_is_read_or_named(row, task, record):
    narratives = taxonomy.parse({"name": "t", "narratives": [{"id": "a"}, {"id": "b"}]}, where="t")
    readers = (
        (flat.read_flat, row),
        (flat.read_doccano, row),
        (label_studio.read, task),
        (flat.read_argilla, record),
        (iter, row),
    )
    for reader, given_ in readers:
        with contextlib.suppress(LabelError):
            found = [parse(native, narratives, where) for where, native in reader([("f:1", given_)])]
            assert all(n in narratives for a in found for carried in a.labels.values() for n in carried)
