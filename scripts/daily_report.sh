#!/usr/bin/env bash
# The daily report from cron: silent unless it fails. In the crontab (cron reads its schedule in the server's zone
# unless told otherwise; after 18:00 New York the day's yields are out):
#   CRON_TZ=America/New_York
#   5 18 * * 1-5  BONDLORE_BIN=/path/to/.venv/bin/bondlore /path/to/scripts/daily_report.sh
# Settings by environment: BONDLORE_BIN (the command), BONDLORE_HOME (where store, yields, reports and daily.log live),
# BONDLORE_FEEDS (an OPML or YAML file; the shipped public feeds without it). Exit code: that of bondlore daily, but 0 for 3,
# when the page is written and itself says which feed failed.
set -uo pipefail
bin="${BONDLORE_BIN:-bondlore}"
if ! bin="$(command -v "$bin")"; then
  echo "daily_report.sh: no command ${BONDLORE_BIN:-bondlore}; set BONDLORE_BIN to the bondlore of your environment" >&2
  exit 1
fi
bin="$(realpath -s "$bin")"  # we leave this folder
feeds=()
if [ -n "${BONDLORE_FEEDS:-}" ]; then feeds=(--feeds "$(realpath -s "$BONDLORE_FEEDS")"); fi
home="${BONDLORE_HOME:-$HOME/bondlore}"
mkdir -p "$home" && cd "$home" || exit 1
told="$("$bin" daily --db news.db --out reports --yields yields.csv --log daily.log "${feeds[@]}" 2>&1)"
code=$?
if [ "$code" -eq 3 ]; then exit 0; fi
if [ "$code" -ne 0 ]; then
  printf '%s\n' "$told" | tail -n 5 >&2
  echo "daily_report.sh: bondlore daily ended with exit code $code; the log is $home/daily.log" >&2
fi
exit "$code"
