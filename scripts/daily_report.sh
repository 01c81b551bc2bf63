#!/usr/bin/env bash
# The daily report from cron. In the crontab (cron reads its schedule in the server's zone unless told otherwise):
#   CRON_TZ=America/New_York
#   5 17 * * 1-5  BONDLORE_BIN=/path/to/.venv/bin/bondlore /path/to/scripts/daily_report.sh
# Settings by environment: BONDLORE_BIN (the command), BONDLORE_HOME (where store, yields and reports live),
# BONDLORE_FEEDS (an OPML file; the shipped public feeds without it).
set -uo pipefail
bin="${BONDLORE_BIN:-bondlore}"
if ! command -v "$bin" >/dev/null; then
  echo "daily_report.sh: no command $bin; set BONDLORE_BIN to the bondlore of your environment" >&2
  exit 1
fi
home="${BONDLORE_HOME:-$HOME/bondlore}"
feeds="${BONDLORE_FEEDS:+$(realpath "$BONDLORE_FEEDS")}"
mkdir -p "$home"
cd "$home" || exit 1
# the last run's log, and the one before it
if [ -f daily.log ]; then mv daily.log daily.log.1; fi
"$bin" daily --db news.db --out reports --yields yields.csv ${feeds:+--feeds "$feeds"} >daily.log 2>&1
code=$?
# 3 means that a feed or the yields failed: the page says which, and the report is there
if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
  tail -n 5 daily.log >&2
  exit "$code"
fi
