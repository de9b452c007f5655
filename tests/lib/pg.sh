#!/bin/sh
# A PostgreSQL of one's own for a test.
#   pg.sh start DIR [SETTING=VALUE…]   make (once) and start a cluster in DIR (if it does not run), print its URL
#   pg.sh stop DIR                     stop in good order
#   pg.sh kill DIR                     kill -9 of all of it (start brings it back)
#   pg.sh url DIR                      print the URL again
#   pg.sh new DIR|URL                  make one more empty database in it, print its URL
# As root the server runs as the user postgres. fsync is on unless a SETTING says otherwise. Loopback only, a free port, the socket in DIR.
# Where no PostgreSQL is installed it prints nothing and exits 77.
set -eu
[ $# -ge 2 ] || { sed -n 2,9p "$0" >&2; exit 2; }
what=$1 dir=$2
shift 2
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || exit 77
fresh="t$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
case $dir in
postgresql://*)
  [ "$what" = new ] || exit 2
  "$bin/createdb" --maintenance-db="$dir" -T template0 -E UTF8 --locale=C.UTF-8 "$fresh"
  echo "${dir%/*}/$fresh"
  exit 0
  ;;
esac
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
as() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}
url() { echo "postgresql://chapar@127.0.0.1:$(cat "$dir/port")/chapar"; }
# Below the ports that the system gives to whoever asks for any: while a server is down nobody gets its port.
free_port() {
  python3 -c '
import random, socket
while True:
    port = random.randrange(15000, 32000)
    try:
        with socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
            claim.bind(("127.0.0.1", port))
            s.bind(("127.0.0.1", port))
    except OSError:
        continue
    print(port)
    break'
}
case $what in
start)
  if [ ! -f "$dir/data/PG_VERSION" ]; then
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    chmod 755 "$dir"
    as "$bin/initdb" -D "$dir/data" -U chapar -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    free_port >"$dir/port"
    for setting in "shared_buffers=64MB" "max_connections=60" "unix_socket_directories='$dir'" "listen_addresses='127.0.0.1'" \
      "log_min_messages=error" "log_min_error_statement=panic" "$@"; do
      echo "$setting" | as tee -a "$dir/data/postgresql.conf" >/dev/null
    done
  fi
  if as "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then
    url
    exit 0
  fi
  tries=0
  until as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -o "-p $(cat "$dir/port")" -w -t 60 start >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 5 ] || { tail "$dir/log" >&2; exit 1; }
    # The port was taken in between: another one, unless this cluster has been reached at it before.
    [ -f "$dir/made" ] || free_port >"$dir/port"
    sleep 0.2
  done
  if [ ! -f "$dir/made" ]; then
    as "$bin/createdb" -h "$dir" -p "$(cat "$dir/port")" -U chapar chapar
    touch "$dir/made"
  fi
  url
  ;;
stop) as "$bin/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null ;;
kill)
  pid=$(head -n 1 "$dir/data/postmaster.pid")
  all="$pid $(ps -o pid= --ppid "$pid" | tr '\n' ' ')"
  kill -9 $all 2>/dev/null || true
  for one in $all; do while kill -0 "$one" 2>/dev/null; do sleep 0.05; done; done
  ;;
url) url ;;
new)
  as "$bin/createdb" -h "$dir" -p "$(cat "$dir/port")" -U chapar -T template0 -E UTF8 --locale=C.UTF-8 "$fresh"
  echo "postgresql://chapar@127.0.0.1:$(cat "$dir/port")/$fresh"
  ;;
*) exit 2 ;;
esac
