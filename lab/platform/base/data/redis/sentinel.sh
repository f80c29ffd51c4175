#!/bin/sh
# Start Sentinel with what it knew before. Its memory is on the volume: after an outage of all
# pods the last master must be found again, not the first pod made master with older data.
set -eu
. /scripts/names.sh
umask 077
conf=/sentinel/sentinel.conf

# At the very first start the names may be too new: one asked for too early is refused by the
# cluster's DNS for half a minute.
[ -e "$conf" ] || sleep 3

known=$(grep -E '^sentinel (myid|monitor|known-|config-epoch|leader-epoch|current-epoch)' "$conf" 2>/dev/null || true)
case "$known" in
  *"sentinel monitor $group "*) ;;
  *) known="sentinel monitor $group redis-0.$domain 6379 2" ;;
esac

{
  echo "port 26379"
  echo "dir /sentinel"
  echo "requirepass $SENTINEL_PASSWORD"
  echo "sentinel sentinel-pass $SENTINEL_PASSWORD"
  echo "sentinel resolve-hostnames yes"
  echo "sentinel announce-hostnames yes"
  echo "sentinel announce-ip $self"
  echo "$known"
  echo "sentinel auth-pass $group $REDIS_PASSWORD"
  echo "sentinel down-after-milliseconds $group 8000"
  echo "sentinel failover-timeout $group 30000"
  echo "sentinel parallel-syncs $group 1"
} > "$conf.new"
mv "$conf.new" "$conf"
exec redis-sentinel "$conf"
