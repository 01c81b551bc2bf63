"""Near-copies meet, other articles of the same day do not, whatever the order they came in."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from bondlore.article import Article
from bondlore.cli import main
from bondlore.errors import InputError, StoreError
from bondlore.store import Store, minhash
from bondlore.store.clusters import ClusterReport

NOON = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)

# Written for this test: short wire pieces of one afternoon, on one market, sharing its vocabulary.
SALE = (
    "Treasury yields climbed on Wednesday after a sale of ten-year notes met thinner demand than dealers had "
    "hoped for. The ten-year yield rose 9.4 basis points to 4.38 percent by mid-afternoon in New York, and the "
    "thirty-year bond touched 4.86 percent before easing. Primary dealers were left with 21.7 percent of the "
    "auction, the most since the winter of 2023. Indirect bidders, a group that includes foreign central banks, "
    "took 61 percent. Analysts at two brokers said the weak cover reflected talk that hedge funds were closing "
    "leveraged basis trades rather than any view on the economy. Swap spreads narrowed to a record, which traders "
    "read as a sign of balance sheets under strain. The Treasury sells thirty-year bonds on Thursday. Futures "
    "implied three rate cuts by the end of the year, against four a week earlier, as officials signalled patience "
    "over the effect of duties."
)
TARIFF = (
    "Bond investors sold Treasuries on Wednesday on worry that new import duties would push consumer prices "
    "higher. The two-year yield added six basis points to 3.91 percent and break-even inflation rates over five "
    "years rose to 2.71 percent, the highest since the autumn. A survey of purchasing managers published in the "
    "morning showed input costs rising at the fastest pace in nineteen months, with respondents naming levies on "
    "steel and parts. Economists at a large bank lifted their forecast for core inflation by half a point. Shops "
    "have begun to reprice electronics, a trade group said. Federal Reserve officials have said they would look "
    "through a single rise in the price level if expectations stay anchored, but two of them warned this week "
    "that patience has limits."
)
FOREIGN = (
    "Custody holdings of Treasuries at the New York Fed for foreign official accounts fell by 27 billion dollars "
    "in the week to Wednesday, the largest drop since March 2020, data showed, adding to speculation that Asian "
    "reserve managers are retreating from American debt. The dollar weakened against the yen and the euro. "
    "Strategists in Tokyo cautioned that redemptions, valuation and the sale of bills to defend currencies could "
    "explain much of the move. Officials in Beijing did not reply to questions. The ten-year yield was last at "
    "4.37 percent."
)
DENIAL = (
    "Japan has no plan to use its Treasury holdings as a bargaining tool, the finance minister said on Wednesday, "
    "after a sharp rise in American yields revived talk of foreign selling. Speaking in parliament, he said the "
    "reserves were held for intervention in the currency market and were managed with safety and liquidity in "
    "mind. Opposition members had asked whether the government would consider selling in answer to duties on "
    "cars. Traders in London said flows from Asia had been balanced through the session and that the pressure "
    "came from leveraged accounts in New York."
)
GILTS = (
    "British government bonds fell on Wednesday in sympathy with American debt, lifting the thirty-year gilt "
    "yield to 5.52 percent, its highest since 1998. The Bank of England said it would postpone next week's sale "
    "of long gilts from its portfolio in light of recent market volatility. Pension funds were not under strain, "
    "one manager said, because collateral buffers built after the crisis of 2022 remain ample. Sterling slipped "
    "to 1.28 dollars."
)
BILLS = (
    "Money market funds took in 36 billion dollars in the week to Wednesday, the most this quarter, as savers "
    "sought shelter from falling shares, industry figures showed. Assets rose to a record 7.05 trillion dollars. "
    "Yields on one-month bills dipped to 4.24 percent as the cash arrived, while supply is shrinking because the "
    "Treasury is near its borrowing limit. Funds that buy only government paper received nine tenths of the "
    "money, the figures showed."
)
STORIES = {"sale": SALE, "tariff": TARIFF, "foreign": FOREIGN, "denial": DENIAL, "gilts": GILTS, "bills": BILLS}


def sentences(text: str) -> list[str]:
    return text.replace(". ", ".\n").split("\n")


def words(text: str, start: int, end: int) -> str:
    return " ".join(text.split()[start:end])


COPIES = {
    "retitled": SALE,
    "one figure updated": SALE.replace("9.4 basis", "11.2 basis"),
    "three figures updated": SALE.replace("9.4", "11.2").replace("4.38", "4.40").replace("4.86", "4.89"),
    "first half": words(SALE, 0, 75),
    "first paragraph": " ".join(sentences(SALE)[:2]),
    "last two sentences dropped": " ".join(sentences(SALE)[:-2]),
    "every other sentence": " ".join(sentences(SALE)[::2]),
    "shortened and one figure updated": words(SALE, 0, 80).replace("9.4 basis", "11.2 basis"),
    "dateline and credit added": f"NEW YORK, April 9 (Example Wire) - {SALE} Reporting by A. Writer; editing by B. R.",
    "one sentence added": f"{SALE} A spokesman for the department declined to comment on the result of the sale.",
    "capitals, quotes and spaces": SALE.upper().replace(" ", "  ").replace(".", " ."),
    "one word in twenty replaced": " ".join("xyz" if i % 20 == 19 else w for i, w in enumerate(SALE.split())),
}


def article(name: str, text: str, *, hours: float = 0.0) -> Article:
    return Article(name, f"Headline of {name}", text, publisher=name, published_at=NOON + timedelta(hours=hours))


def clusters(store: Store) -> dict[str, str]:
    with store._database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT a.id, l.id FROM article a LEFT JOIN article l ON l.number = a.cluster ORDER BY a.id"
        )
        return {row[0]: row[1] for row in rows}


def clustered(place: str, *batches: list[Article]) -> dict[str, str]:
    with Store.open(place) as store:
        for batch in batches:
            store.add(batch, source="test", seen_at=NOON)
            store.cluster()
        return clusters(store)


@pytest.mark.parametrize("edit", COPIES)
def test_a_near_copy_meets_its_original(place: str, edit: str) -> None:
    got = clustered(place, [article("original", SALE), article("copy", COPIES[edit], hours=1)])
    assert got == {"original": "original", "copy": "original"}


@pytest.mark.parametrize("story", STORIES)
def test_every_story_meets_its_shorter_self(place: str, story: str) -> None:
    text = STORIES[story]
    short = words(text, 0, len(text.split()) * 6 // 10)
    assert len(set(clustered(place, [article("original", text), article("copy", short, hours=1)]).values())) == 1


def test_other_articles_of_the_same_day_stay_apart(place: str) -> None:
    got = clustered(place, [article(name, text) for name, text in STORIES.items()])
    assert got == {name: name for name in STORIES}


def test_a_shared_background_paragraph_is_no_copy(place: str) -> None:
    background = " ".join(sentences(SALE)[-2:])
    given = [article(name, f"{STORIES[name]} {background}") for name in ("tariff", "foreign", "denial", "gilts")]
    assert len(set(clustered(place, given).values())) == 4


def test_a_daily_table_with_other_figures_is_no_copy(place: str) -> None:
    rng = random.Random(5)

    def table(day: int) -> Article:
        rows = " ".join(
            f"The {n}-year note closed at {rng.uniform(3, 5):.3f} percent." for n in (2, 3, 5, 7, 10, 20, 30)
        )
        return article(f"day{day}", f"Closing levels. {rows}", hours=24 * day)

    assert len(set(clustered(place, [table(day) for day in range(4)]).values())) == 4


def test_the_same_text_weeks_apart_is_another_story(place: str) -> None:
    got = clustered(place, [article("april", SALE), article("may", SALE, hours=24 * 30)])
    assert got == {"april": "april", "may": "may"}


def test_headlines_without_text_meet_only_if_equal(place: str) -> None:
    def headline(name: str, title: str) -> Article:
        return replace(article(name, ""), title=title)

    given = [
        headline("a", "Treasury yields jump as basis trades unwind"),
        headline("b", "TREASURY YIELDS JUMP AS BASIS TRADES UNWIND"),
        headline("c", "Treasury yields jump as tariffs bite"),
        headline("d", ""),
        headline("e", ""),
    ]
    assert clustered(place, given) == {"a": "a", "b": "a", "c": "c", "d": "d", "e": "e"}


def test_the_cluster_is_named_by_its_earliest_article_whatever_the_order(new_place: Callable[[], str]) -> None:
    chain = [
        article("first", SALE, hours=0),
        article("second", COPIES["first half"], hours=1),
        article("third", COPIES["one figure updated"], hours=2),
    ]
    results = [clustered(new_place(), *[[one] for one in order]) for order in permutations(chain)]
    assert results[0] == {"first": "first", "second": "first", "third": "first"}
    assert all(result == results[0] for result in results)


def test_clustering_is_incremental_and_idempotent(place: str) -> None:
    with Store.open(place) as store:
        store.add([article("original", SALE), article("gilts", GILTS)], source="t", seen_at=NOON)
        assert store.cluster() == ClusterReport(articles=2, pairs=0)
        store.add([article("copy", COPIES["first half"], hours=1)], source="t", seen_at=NOON)
        assert store.cluster() == ClusterReport(articles=1, pairs=1)
        before = clusters(store)
        assert store.cluster() == ClusterReport()
        assert clusters(store) == before
        assert store.counts().clusters == 2


def test_a_late_article_joins_two_clusters(place: str) -> None:
    left, right = words(SALE, 0, 70), words(SALE, 66, 140)
    apart = [article("left", left, hours=1), article("right", right, hours=2)]
    with Store.open(place) as store:
        store.add(apart, source="t", seen_at=NOON)
        store.cluster()
        assert clusters(store) == {"left": "left", "right": "right"}
        store.add([article("whole", SALE)], source="t", seen_at=NOON)
        store.cluster()
        assert clusters(store) == {"left": "whole", "right": "whole", "whole": "whole"}


def test_a_rewrite_leaves_its_cluster(place: str) -> None:
    with Store.open(place) as store:
        store.add([article("a", SALE), article("b", SALE, hours=1)], source="t", seen_at=NOON)
        store.cluster()
        assert clusters(store) == {"a": "a", "b": "a"}
        mixed = f"{GILTS} {TARIFF} {words(SALE, 0, 70)}"
        assert store.add([replace(article("a", mixed), title="Headline of a")], source="t", seen_at=NOON).updated == 1
        store.cluster()
        assert clusters(store) == {"a": "a", "b": "b"}


def test_fifty_copies_are_one_cluster(place: str) -> None:
    given = [article(f"p{i:03}", SALE, hours=i / 10) for i in range(150)]
    assert set(clustered(place, given).values()) == {"p000"}


def test_three_thousand_documents_take_seconds(place: str) -> None:
    rng = random.Random(1)
    vocabulary = [f"w{i}" for i in range(4000)]
    texts = [" ".join(rng.choices(vocabulary, k=150)) for _ in range(2700)]
    texts += [words(rng.choice(texts), 0, 90) for _ in range(300)]
    given = [article(f"d{i:04}", text, hours=i % 48) for i, text in enumerate(texts)]
    with Store.open(place) as store:
        store.add(given, source="t", seen_at=NOON)
        start = time.process_time()
        report = store.cluster()
        # about 3 s on a quiet machine in a file, 5 s on a server
        assert time.process_time() - start < 15
        assert report.articles == 3000
        assert report.pairs >= 300
        assert store.counts().clusters == 2700


def test_the_estimate_is_near_the_truth() -> None:
    rng = np.random.default_rng(3)
    for shared in (0.2, 0.5, 0.8):
        common = rng.integers(0, 2**63, int(2000 * shared), dtype=np.uint64)
        rest = rng.integers(0, 2**63, (2, 2000 - len(common)), dtype=np.uint64)
        a, b = (np.unique(np.concatenate([common, part])) for part in rest)
        jaccard = minhash.compare(a, b)[0]
        assert abs(float(minhash.resemblance(minhash.minhash(a), minhash.minhash(b))) - jaccard) < 0.2


def test_the_signature_never_changes() -> None:
    """Signatures are stored: if this fails, raise minhash.SCHEME."""
    sketch = minhash.minhash(minhash.shingles("", SALE))
    assert (sketch.dtype, sketch.shape, minhash.SCHEME) == (np.dtype(np.uint32), (minhash.PERMUTATIONS,), 1)
    assert sketch[:3].tolist() == [13906990, 20687263, 68642152]


def test_shingles_ignore_case_punctuation_and_invisible_characters() -> None:
    plain = minhash.shingles("", "The ten-year yield rose to 4.38 percent " * 4)
    odd = minhash.shingles("", "THE “ten year” yi\u00adeld,  rose\u200b to 4.38 percent; " * 4)
    assert np.array_equal(plain, odd)
    assert not np.array_equal(plain, minhash.shingles("", "The ten-year yield rose to 4.39 percent " * 4))


@pytest.mark.parametrize(("text", "count"), [("", 0), ("...", 0), ("yields", 1), ("a b c d e", 1), ("a b c d e f", 2)])
def test_short_texts_have_few_shingles(text: str, count: int) -> None:
    assert len(minhash.shingles("", text)) == count


def two(store: Store) -> None:
    store.add([Article("a", "Sale", SALE, published_at=NOON)], source="s", seen_at=NOON)
    store.add([Article("b", "Sale again", f"{SALE} More.", published_at=NOON)], source="s", seen_at=NOON)
    store.cluster()


def labels(store: Store) -> int:
    return store.counts().clusters


def test_a_merge_is_explained(place: str) -> None:
    with Store.open(place) as store:
        two(store)
        (copy,) = store.near_copies("a")
        assert (copy.id, copy.title, copy.apart) == ("b", "Sale again", False)
        assert copy.jaccard is not None
        assert copy.jaccard > 0.95
        assert copy.containment == 1.0


def test_a_merge_can_be_undone_for_good_and_done_again(place: str) -> None:
    with Store.open(place) as store:
        two(store)
        assert (labels(store), store.keep_apart("b", "a", reason="not\x00 one")) == (1, False)
        assert labels(store) == 2
        (copy,) = store.near_copies("a")
        assert (copy.id, copy.apart, copy.reason, copy.jaccard) == ("b", True, "not\ufffd one", None)
        reworded = Article("b", "Sale again", f"{SALE} More, later.", published_at=NOON)
        store.add([reworded], source="s", seen_at=NOON)
        assert store.cluster().pairs == 0  # looked at anew, and still apart
        assert labels(store) == 2
        assert store.join_again("a", "b")
        assert labels(store) == 1
        assert store.near_copies("b")[0].id == "a"


def test_two_kept_apart_may_stay_one_cluster_through_a_third(place: str) -> None:
    with Store.open(place) as store:
        two(store)
        store.add([Article("c", "Third", f"{SALE} Most.", published_at=NOON)], source="s", seen_at=NOON)
        store.cluster()
        assert store.keep_apart("a", "b")
        assert [(c.id, c.apart) for c in store.near_copies("a")] == [("c", False), ("b", True)]
        assert not store.keep_apart("a", "c")
        assert (labels(store), [c.id for c in store.near_copies("c")]) == (2, ["b", "a"])


def test_unlike_articles_are_not_joined_by_taking_back(place: str) -> None:
    with Store.open(place) as store:
        store.add([Article("a", "A", SALE), Article("b", "B", TARIFF)], source="s", seen_at=NOON)
        store.cluster()
        assert not store.keep_apart("a", "b")
        assert not store.join_again("a", "b")
        assert labels(store) == 2
        with pytest.raises(InputError, match="one article"):
            store.keep_apart("a", "a")
        with pytest.raises(StoreError, match="no such article"):
            store.near_copies("nobody")


def test_the_command_shows_parts_and_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = str(tmp_path / "n.db")
    with Store.open(db) as store:
        two(store)
    assert main(["copies", "a", "--db", db]) == 0
    assert "100% of the shorter's" in capsys.readouterr().out
    assert main(["copies", "a", "--apart", "b", "--because", "another day", "--db", db]) == 0
    assert "kept apart: another day" in capsys.readouterr().out
    assert main(["copies", "a", "--join", "b", "--json", "--db", db]) == 0
    assert json.loads(capsys.readouterr().out)[0]["apart"] is False
    assert main(["copies", "x", "--db", db]) == 1
    assert "x: there is no such article" in capsys.readouterr().err
