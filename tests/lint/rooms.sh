#!/bin/bash
# rooms.sh SOURCE_ROOT - holds the architecture: each foreign library is included by one
# room only, and the rooms' dependencies point down only.
set -u
cd "$1" || exit 2
bad=0
complain() { echo "$*"; bad=1; }

# library (a pattern of its header)          the only places that may include it
while read -r header rooms; do
    [ -n "$header" ] || continue
    found=$(grep -rlE "#include <$header" src include --include='*.[ch]') || continue
    for f in $found; do
        ok=
        for room in $rooms; do case $f in "$room"*) ok=1 ;; esac; done
        [ -n "$ok" ] || complain "$f includes <$header>, which belongs to: $rooms"
    done
done <<'RULES'
curl/ src/net/
fuse src/fs/ src/mount.c
expat\.h src/store/
jansson\.h src/store/
libxml/ src/store/
ini\.h src/config/
zstd\.h src/oplog/
openssl/ src/base/crypto.c src/net/
RULES

# room: the rooms whose contracts it may include (base is open to all, itself too)
while IFS=: read -r room allowed; do
    [ -d "src/$room" ] || continue
    for other in net store names policy cache read file fs config oplog mount write; do
        [ "$other" != "$room" ] || continue
        case " $allowed " in *" $other "*) continue ;; esac
        hits=$(grep -lE "#include [\"<]pailfs/$other(\.h|/)" -r "src/$room") || continue
        for f in $hits; do complain "$f: room $room may not include pailfs/$other.h"; done
    done
done <<'RULES'
base:
config:store
oplog:
net:
store:net oplog
names:store
cache:store
read:cache store policy
file:read cache store policy names
fs:file read names store policy cache
ctl:oplog
RULES

# A line of the log says from which room it comes; `main` lies in no folder.
for name in $(sed -n '/^enum log_room/,/^}/s/^\tLOG_\([A-Z]*\),.*/\1/p' include/pailfs/base/log.h); do
    [ "$name" != ROOMS ] || continue
    room=src/${name,,}
    room=${room%/main}
    found=$(grep -lE "\<log_[a-z]+\(.*\<LOG_$name\>" -r src)
    [ -n "$found" ] || complain "no line of the log is of LOG_$name"
    for f in $found; do
        [ "${f%/*}" = "$room" ] || complain "$f: a line of the log is of LOG_$name"
    done
done

for f in include/pailfs/*.h include/pailfs/base/*.h; do
    grep -q '#ifndef PAILFS_' "$f" || complain "$f has no include guard"
done
exit $bad
