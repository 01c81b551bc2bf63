#!/usr/bin/env bash
# Rebuild models/default from the labels: corpus/labels, and the news labels where they are at hand.
# BONDLORE_BASE: folder or hub name of the base encoder (all-MiniLM-L6-v2); BONDLORE_NEWS: folder with news train.jsonl.
set -euo pipefail
cd "$(dirname "$0")/.."
base="${BONDLORE_BASE:-sentence-transformers/all-MiniLM-L6-v2}"
out="${1:-models/default}"
news="${BONDLORE_NEWS:-../shared/news}"
labels=(corpus/labels/passages.jsonl corpus/labels/denials.jsonl corpus/labels/wire.jsonl corpus/labels/wraps.jsonl corpus/labels/features.jsonl)
if [ -f "$news/train.jsonl" ]; then labels+=("$news/train.jsonl"); else echo "no news labels at $news: the model will be weaker" >&2; fi
bondlore train "${labels[@]}" --recipe models/recipe.toml --base "$base" --out "$out"
dev=(corpus/labels/passages.dev.jsonl)
if [ -f "$news/dev.jsonl" ]; then dev+=("$news/dev.jsonl"); fi
bondlore evaluate "$out" "${dev[@]}" --card
