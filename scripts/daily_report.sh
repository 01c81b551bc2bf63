#!/usr/bin/env bash
# The daily report from cron, e.g.  5 17 * * 1-5  TZ=America/New_York /path/to/scripts/daily_report.sh
# Settings by environment: BONDLORE_HOME (where store, yields and reports live), BONDLORE_FEEDS (an OPML file).
set -uo pipefail
home="${BONDLORE_HOME:-$HOME/bondlore}"
mkdir -p "$home"
cd "$home" || exit 1
bondlore daily --db news.db --out reports --yields yields.csv ${BONDLORE_FEEDS:+--feeds "$BONDLORE_FEEDS"} >>daily.log 2>&1
code=$?
# 3 means that a feed or the yields failed: the page says which, and the report is there
if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
  tail -n 5 daily.log >&2
  exit "$code"
fi
