#!/bin/sh
# For an operator inside a pod: redis-cli with the password; in the sentinel's container, its own.
case "$(cat /proc/1/comm)" in
  *sentinel*) REDISCLI_AUTH="$SENTINEL_PASSWORD" exec redis-cli -p 26379 "$@" ;;
  *) REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli "$@" ;;
esac
