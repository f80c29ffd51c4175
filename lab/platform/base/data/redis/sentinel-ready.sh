#!/bin/sh
# Ready means: this sentinel watches the master, and enough sentinels are there to replace it.
set -eu
export REDISCLI_AUTH="$SENTINEL_PASSWORD"
answer=$(timeout 4 redis-cli -p 26379 SENTINEL CKQUORUM aikernel 2>&1) || true
case "$answer" in
  OK*) ;;
  *) echo "the quorum is not there: $answer"; exit 1 ;;
esac
