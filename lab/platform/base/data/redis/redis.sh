#!/bin/sh
# Start Redis as what the sentinels say this pod is: the master, or a replica of it. Two of three
# must answer, for a single one may have slept through a failover; after a minute one will do.
set -eu
. /scripts/names.sh
umask 077

[ -e /data/appendonlydir ] || sleep 3  # as in sentinel.sh

tries=60
until known=$(answers) && [ "$(echo "$known" | grep -c .)" -ge 2 ]; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || break
  sleep 1
done
master=$(newest "$known")
[ -n "$master" ] || { echo "no sentinel names a master" >&2; exit 1; }
echo "the master is $master"

{
  echo "include /etc/redis/redis.conf"
  echo "requirepass $REDIS_PASSWORD"
  echo "masterauth $REDIS_PASSWORD"
  echo "replica-announce-ip $self"
  [ "$master" = "$self" ] || echo "replicaof $master 6379"
} > /run/redis/redis.conf
exec redis-server /run/redis/redis.conf
