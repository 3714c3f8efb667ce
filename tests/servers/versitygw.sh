#!/bin/bash
# versitygw.sh - versitygw: an S3 gateway over a directory, with what radosgw 16 lacks
# (If-Match and If-None-Match on PUT and on completing an upload, checksums).
#
#   versitygw.sh install              into $VERSITYGW_BIN (default ~/.cache/pailfs-servers)
#   versitygw.sh start WORKDIR PORT [OPTION...]
#   versitygw.sh stop|status|wipe WORKDIR
# Installing builds it with Go (see need_go in lib.sh). Buckets are made by PUT. The objects' attributes need user xattrs below WORKDIR.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"

bin=${VERSITYGW_BIN:-$HOME/.cache/pailfs-servers}
[ $# -ge 1 ] || usage
if [ "$1" = install ]; then
    [ ! -x "$bin/versitygw" ] || exit 0
    need_go
    GOBIN=$bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
    exit
fi
[ $# -ge 2 ] || usage
cmd=$1
workdir "$2"
shift 2
case $cmd in
start)
    [ $# -ge 1 ] || usage
    port=$1
    shift
    [ -x "$bin/versitygw" ] || die "run '$SELF install' first"
    mkdir -p "$W/data" "$W/iam" "$W/versions"
    need_ports versitygw "$port"
    spawn versitygw env VGW_VERSIONING_DIR="$W/versions" ROOT_ACCESS_KEY=pailfs ROOT_SECRET_KEY=pailfs-secret "$bin/versitygw" \
        --port "127.0.0.1:$port" --iam-dir "$W/iam" "$@" posix "$W/data"
    wait_for versitygw 10 port_open "$port"
    printf 'S3_ENDPOINT=http://127.0.0.1:%s\nAWS_ACCESS_KEY_ID=pailfs\nAWS_SECRET_ACCESS_KEY=pailfs-secret\nAWS_REGION=us-east-1\nSTOP="%s stop %s"\n' \
        "$port" "$SELF" "$W" | tee "$W/env" ;;
stop) stop_daemons versitygw ;;
wipe) stop_daemons versitygw; wipe_dir ;;
status) show_daemons versitygw ;;
*) usage ;;
esac
