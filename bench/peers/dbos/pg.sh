#!/bin/bash
# start|stop: PostgreSQL 15 (Debian's) of its own in ../data/pg, port 15433 on 127.0.0.1, as it comes: fsync, synchronous_commit
# and full_page_writes are on. Needs root, since PostgreSQL refuses to run as root and so runs as postgres.
bin=/usr/lib/postgresql/15/bin data="$(cd "$(dirname "$0")/.." && pwd)/data/pg"
case $1 in
  start)
    chmod a+rx "$(dirname "$(dirname "$(dirname "$data")")")" "$(dirname "$(dirname "$data")")" "$(dirname "$data")"
    [ -d "$data" ] || { install -d -o postgres "$data"; su postgres -s /bin/bash -c "$bin/initdb -D $data -A trust -U postgres --no-sync >/dev/null"; }
    su postgres -s /bin/bash -c "$bin/pg_ctl -D $data -w -l $data/log -o '-p 15433 -h 127.0.0.1 -k /tmp -c max_connections=200' start" >/dev/null ;;
  stop) su postgres -s /bin/bash -c "$bin/pg_ctl -D $data -m fast -w stop" >/dev/null ;;
esac
