#!/bin/sh
# Before the master's pod stops, let another pod's sentinel move the role in an orderly way.
. /scripts/names.sh
is_master() { [ "$(newest "$(answers)")" = "$self" ]; }

is_master || exit 0
for pod in $pods; do
  [ "$pod" = "$HOSTNAME" ] && continue
  [ "$(sentinel "$pod" FAILOVER "$group")" = OK ] && break
done
tries=20
while is_master && [ "$tries" -gt 0 ]; do
  tries=$((tries - 1))
  sleep 0.5
done
exit 0
