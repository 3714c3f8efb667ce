#!/bin/bash
# nulls3.sh - builds (Go 1.21 or newer) and starts nulls3: an S3 that costs almost no
# CPU, for throughput and for counting: files of a directory are the objects of the
# bucket "bench"; signatures are not checked; path style only; each request is a line
# in WORKDIR/requests.log (start ns, first byte ns, duration ns, kind, status, bytes
# in, bytes out, range, key).
#
#   nulls3.sh install                             Go, where the machine has none
#   nulls3.sh start WORKDIR PORT OBJECTS_DIR [OPTION...]
#   nulls3.sh link WORKDIR DELAY RATE TOTAL       while it runs, e.g. 30ms 80e6 1e9; 0 0 0
#   nulls3.sh stop|status|wipe WORKDIR
# Options: -put DIR (where uploads are kept), -discard (they read as zeros),
# -delay 30ms -rate 80e6 -total 1e9 (first byte; bytes a second a connection, in all)
set -euo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"

[ $# -ge 1 ] || usage
[ "$1" != install ] || { need_go; exit; }
[ $# -ge 2 ] || usage
cmd=$1
workdir "$2"
shift 2
case $cmd in
start)
    [ $# -ge 2 ] || usage
    src=$(dirname "$SELF")/nulls3 port=$1 root=$2
    shift 2
    have_go || die "needs Go 1.21 or newer; run '$SELF install'"
    (cd "$src" && go build -o "$W/nulls3" .)
    need_ports nulls3 "$port"
    spawn nulls3 "$W/nulls3" -root "$root" -listen "127.0.0.1:$port" -log "$W/requests.log" "$@"
    wait_for nulls3 5 port_open "$port"
    printf 'S3_ENDPOINT=http://127.0.0.1:%s\nS3_BUCKET=bench\nSTOP="%s stop %s"\n' "$port" "$SELF" "$W" | tee "$W/env" ;;
link)
    [ $# = 3 ] || usage
    . "$W/env"
    curl -sf -X POST "$S3_ENDPOINT/_link?delay=$1&rate=$2&total=$3" ;;
stop) stop_daemons nulls3 ;;
wipe) stop_daemons nulls3; wipe_dir ;;
status) show_daemons nulls3 ;;
*) usage ;;
esac
