#!/usr/bin/env bash
# Rebuild models/default from the labels, in two stages: corpus/labels with the news labels where they are at hand, then the
# keyed labels where the archive they were given on is at hand. At the end, old against new on dev.
# BONDLORE_BASE: folder or hub name of the base encoder (all-MiniLM-L6-v2); BONDLORE_NEWS: folder with train.jsonl and archive.jsonl.gz.
set -euo pipefail
cd "$(dirname "$0")/.."
base="${BONDLORE_BASE:-sentence-transformers/all-MiniLM-L6-v2}"
out="${1:-models/default}"
news="${BONDLORE_NEWS:-../shared/news}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
if [ -d "$out" ]; then cp -r "$out" "$work/before"; fi

labels=(corpus/labels/{passages,denials,wire,wraps,features}.jsonl)
if [ -f "$news/train.jsonl" ]; then labels+=("$news/train.jsonl"); else echo "no news labels at $news: the model will be weaker" >&2; fi
bondlore train "${labels[@]}" --recipe models/recipe.toml --base "$base" --out "$work/default"
if [ -f "$news/archive.jsonl.gz" ]; then
    bondlore train "${labels[@]}" corpus/labels/discourse.jsonl corpus/labels/keyed/news.jsonl --texts "$news/archive.jsonl.gz" \
        --recipe models/recipe-news.toml --base "$work/default/encoder" --out "$out"
else
    echo "no archive at $news: the keyed labels are left out" >&2
    bondlore train "${labels[@]}" corpus/labels/discourse.jsonl --recipe models/recipe-news.toml --base "$work/default/encoder" --out "$out"
fi

dev=(corpus/labels/passages.dev.jsonl)
if [ -f "$news/dev.jsonl" ]; then dev+=("$news/dev.jsonl"); fi
bondlore evaluate "$out" "${dev[@]}" --card
if [ -d "$work/before" ]; then bondlore compare "$work/before" "$out" "${dev[@]}"; fi
