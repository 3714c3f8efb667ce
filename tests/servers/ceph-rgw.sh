#!/bin/bash
# ceph-rgw.sh - a throw-away single-node Ceph cluster (1 mon, 1 osd, 1 rgw) on
# loopback: an S3 endpoint (http and https), a Swift endpoint and RADOS itself.
# No systemd, no cephx, no mgr, nothing outside WORKDIR.
#
#   ceph-rgw.sh install                      apt-get install what it needs (as root or by sudo)
#   ceph-rgw.sh start WORKDIR [RGW_PORT [TLS_PORT [MON_PORT]]]
#                                            defaults 7480 7443 3300; TLS_PORT 0: no https
#   ceph-rgw.sh stop WORKDIR                 ends the daemons it started (saved PIDs)
#   ceph-rgw.sh status WORKDIR
#   ceph-rgw.sh wipe WORKDIR                 stop, then delete WORKDIR
#
# start is idempotent: daemons that run are kept, a stopped cluster is started
# again with its data (bluestore; memstore keeps them only after a clean stop).
# It prints KEY=VALUE lines, also kept in WORKDIR/env for `source`.
#
# Environment: STORE=memstore|bluestore (memstore)  STORE_BYTES=4294967296
#   ACCESS_KEY SECRET_KEY S3_USER  DNS_NAME (localhost: virtual hosts BUCKET.localhost)
#   OSD_PORT_MIN (MON_PORT+1: the osd takes some of the 16 ports from there)
#   RGW_THREADS (64)  EXTRA_CONF (a file appended to ceph.conf)
set -euo pipefail

. "$(dirname "$(realpath "$0")")/lib.sh"

write_conf() {
    cat >"$W/ceph.conf" <<CONF
[global]
fsid = 5ca1ab1e-0000-4000-8000-000000000001
mon host = v2:127.0.0.1:$MON_PORT
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = $OSD_PORT_MIN
ms bind port max = $((OSD_PORT_MIN + 15))
# No keys at all: only loopback can reach it.
auth cluster required = none
auth service required = none
auth client required = none
# radosgw asks for an encrypted monitor session by default, which needs keys.
ms mon client mode = crc
auth allow insecure global id reclaim = false
run dir = $W/run
log file = $W/log/\$name.log
admin socket = $W/run/\$name.asok
crash dir = $W/run
log flush on exit = false
debug ms = 0/0
ms crc data = false
# One replica, few placement groups, no balancing by hosts.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
# On a machine that is too busy for a while the osd's leases would end, and all requests wait.
osd heartbeat grace = 600
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
mon pg warn min per osd = 0

[mon]
mon data = $W/mon.a
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
mon osd min down reporters = 1
# The only osd may be marked down, so a stopping one need not wait for nothing.
mon osd min up ratio = 0

[osd]
osd data = $W/osd.0
osd journal size = 0
osd objectstore = $STORE
memstore device bytes = $STORE_BYTES
debug memstore = -1/-1
bluestore block size = $STORE_BYTES
bluestore block db create = false
bluestore block wal create = false
osd max object name len = 2048
osd pg object context cache count = 64
osd mon shutdown timeout = 1
# memstore writes its data to disk when it is unmounted, which a fast stop does not wait for.
osd fast shutdown = $([ "$STORE" = memstore ] && echo false || echo true)
osd memory target = 939524096
osd op num shards = 2
osd op num threads per shard = 2

[client]
rgw frontends = beast endpoint=127.0.0.1:$RGW_PORT tcp_nodelay=1$TLS
rgw dns name = $DNS_NAME
rgw thread pool size = $RGW_THREADS
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
rgw override bucket index max shards = 1
rgw dynamic resharding = false
rgw content length compat = true
rgw verify ssl = false
rgw data log num shards = 1
rgw usage max shards = 1
rgw usage max user shards = 1
rgw md log max shards = 1
rgw gc max objs = 7
# Deleted data is given back within seconds, not after two hours.
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
rgw lc max objs = 7
rgw lc max worker = 1
CONF
    [ -z "${EXTRA_CONF:-}" ] || cat "$EXTRA_CONF" >>"$W/ceph.conf"
}

start() {
    if alive mon && alive osd && alive rgw; then cat "$W/env"; return; fi
    need_ports mon "$MON_PORT"
    need_ports rgw "$RGW_PORT" "$TLS_PORT"
    export CEPH_CONF="$W/ceph.conf"
    TLS=
    if [ "$TLS_PORT" != 0 ]; then
        make_certs "$DNS_NAME"
        TLS=" ssl_endpoint=127.0.0.1:$TLS_PORT ssl_certificate=$W/tls/server.pem ssl_private_key=$W/tls/server.key"
    fi
    write_conf

    # The monitor: its store is made once, from a map that names only itself.
    if [ ! -d "$W/mon.a/store.db" ]; then
        monmaptool --create --clobber --addv a "[v2:127.0.0.1:$MON_PORT]" \
            --fsid 5ca1ab1e-0000-4000-8000-000000000001 "$W/monmap" >>"$W/log/mkfs.out" 2>&1
        ceph-mon --mkfs -i a --monmap "$W/monmap" >>"$W/log/mkfs.out" 2>&1
    fi
    spawn mon ceph-mon -i a -f
    wait_for mon 20 ceph --connect-timeout 5 mon stat

    # The object storage daemon. Its identity is fixed, so `osd new` may be repeated.
    if [ ! -s "$W/osd.0/fsid" ]; then
        mkdir -p "$W/osd.0"
        ceph osd new 5ca1ab1e-0000-4000-8000-000000000002 0 >>"$W/log/mkfs.out" 2>&1
        ceph-osd --mkfs -i 0 --osd-uuid 5ca1ab1e-0000-4000-8000-000000000002 \
            >>"$W/log/mkfs.out" 2>&1
    fi
    spawn osd ceph-osd -i 0 -f
    wait_for osd 30 sh -c 'ceph osd stat | grep -q "1 up"'

    # The gateway makes its pools by itself. The user's keys are given, not drawn.
    if [ ! -e "$W/user" ]; then
        radosgw-admin user create --uid="$S3_USER" --display-name="$S3_USER" \
            --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY" >"$W/user.tmp" 2>>"$W/log/mkfs.out"
        radosgw-admin subuser create --uid="$S3_USER" --subuser="$S3_USER:swift" \
            --access=full --secret-key="$SECRET_KEY" --key-type=swift >>"$W/log/mkfs.out" 2>&1
        mv "$W/user.tmp" "$W/user"
    fi
    spawn rgw radosgw -n client.rgw -f
    wait_for rgw 60 curl -sf -o /dev/null "http://127.0.0.1:$RGW_PORT/"

    cat >"$W/env" <<ENV
S3_ENDPOINT=http://127.0.0.1:$RGW_PORT
S3_TLS_ENDPOINT=$([ "$TLS_PORT" = 0 ] || echo "https://localhost:$TLS_PORT")
S3_CA=$W/tls/ca.pem
S3_VHOST_SUFFIX=$DNS_NAME:$RGW_PORT
AWS_ACCESS_KEY_ID=$ACCESS_KEY
AWS_SECRET_ACCESS_KEY=$SECRET_KEY
AWS_DEFAULT_REGION=us-east-1
CEPH_CONF=$W/ceph.conf
ST_AUTH=http://127.0.0.1:$RGW_PORT/auth/v1.0
ST_USER=$S3_USER:swift
ST_KEY=$SECRET_KEY
STOP="$SELF stop $W"
ENV
    cat "$W/env"
}

[ $# -ge 1 ] || usage
cmd=$1
if [ "$cmd" = install ]; then
    apt_install ceph-mon ceph-osd radosgw ceph-common curl openssl
    exit
fi
[ $# -ge 2 ] || usage
workdir "$2"
RGW_PORT=${3:-7480} TLS_PORT=${4:-7443} MON_PORT=${5:-3300}
OSD_PORT_MIN=${OSD_PORT_MIN:-$((MON_PORT + 1))}
STORE=${STORE:-memstore} STORE_BYTES=${STORE_BYTES:-4294967296}
ACCESS_KEY=${ACCESS_KEY:-TESTACCESSKEY0000001}
SECRET_KEY=${SECRET_KEY:-testsecretkey000000000000000000000000001}
S3_USER=${S3_USER:-tester} DNS_NAME=${DNS_NAME:-localhost} RGW_THREADS=${RGW_THREADS:-64}
case $cmd in
start) start ;;
stop) stop_daemons rgw osd mon ;;
wipe) stop_daemons rgw osd mon; wipe_dir ;;
status) show_daemons mon osd rgw ;;
*) usage ;;
esac
