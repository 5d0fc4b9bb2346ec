#!/bin/sh
# Bring a release to one region, a line a second half: something to watch, and to cancel.
set -eu
mkdir -p out/rollout
for part in 1 2 3 4; do
  echo "$1: part $part of 4"
  sleep 0.5
done
date > "out/rollout/$1"
