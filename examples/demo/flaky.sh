#!/bin/sh
# A service that answers the third time it is asked. It counts in a file named after the run, so each run starts anew,
# and a run that is carried on by another worker goes on counting.
set -eu
mkdir -p out/attempts
count="out/attempts/$1"
asked=$(($(cat "$count" 2>/dev/null || echo 0) + 1))
echo "$asked" > "$count"
echo "request ${asked}"
if [ "$asked" -lt 3 ]; then
  echo "the service is not available" >&2
  exit 75
fi
echo "42 EUR"
