#!/bin/bash
# nginx-static.sh - nginx on loopback: files over http, https and h2 with Range,
# ETag, keep-alive and sendfile, and a WebDAV area that may be written to.
#
#   nginx-static.sh install                 apt-get install nginx-extras, its Lua module, openssl
#   nginx-static.sh start WORKDIR [PORT [TLS_PORT [ROOT]]]   defaults 8080 8443 WORKDIR/root
#   nginx-static.sh stop|status|wipe WORKDIR
#
#   /            ROOT, read-only (GET, HEAD; Range, multi-Range, If-*)
#   /dav/        ROOT/dav: also PUT DELETE MKCOL COPY MOVE PROPFIND OPTIONS
#   /autoindex/  ROOT as JSON listings          /auth/  ROOT behind basic auth user:secret
#   /htmlindex/  ROOT as HTML listings
#   /s3/         an S3 endpoint that costs next to nothing, for benchmarks (path style,
#                signatures ignored): GET and HEAD of ROOT/s3/BUCKET/KEY with Range and
#                ETag; PUT, multipart and DELETE succeed but keep nothing; the answer to
#                every ListObjectsV2 of a bucket is the file ROOT/s3/BUCKET.list.xml
#   /redirect/X  307 to /X    /status/CODE  that status    /slow/X  /X at 10 MB/s
# Environment: WORKERS (1)  SENDFILE=on|off (on)  FILES_MEMORY=1 puts ROOT on /dev/shm
#   ACCESS_LOG=1 writes a line a request to WORKDIR/log/access.log: time, method, status,
#   bytes of the body, Range, path and query; separated by tabs
set -euo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"

LOG_FORMAT='$msec\t$request_method\t$status\t$body_bytes_sent\t$http_range\t$request_uri'

write_conf() {
    mkdir -p "$W/tmp" "$ROOT/dav" "$ROOT/s3"
    printf 'user:%s\n' "$(openssl passwd -apr1 secret)" >"$W/htpasswd"
    local m
    # What is not compiled in: PROPFIND for WebDAV, and Lua for /s3/.
    for m in ngx_http_dav_ext_module ndk_http_module ngx_http_lua_module; do
        echo "load_module /usr/lib/nginx/modules/$m.so;"
    done >"$W/nginx.conf.new"
    cat >"$W/s3.lua" <<'LUA'
-- Answers what is no plain GET or HEAD: uploads are read and thrown away.
local method, args = ngx.req.get_method(), ngx.var.args or ""
local etag = '"00000000000000000000000000000000"'
local function answer(status, body)
    ngx.status = status
    if body then
        ngx.header["Content-Type"] = "application/xml"
        ngx.print('<?xml version="1.0" encoding="UTF-8"?>', body)
    end
    return ngx.exit(ngx.HTTP_OK)
end
if method == "GET" and args:find("list-type=2", 1, true) then
    return ngx.exec(ngx.var.uri:match("^/s3/[^/]+") .. ".list.xml")
elseif method == "GET" or method == "HEAD" then
    return
end
if (tonumber(ngx.var.content_length) or 0) > 0 then
    local sock = ngx.req.socket()
    repeat local part, err = sock:receiveany(1048576) until not part
end
if method == "PUT" then
    ngx.header.ETag = etag
    if ngx.var.http_x_amz_copy_source then
        return answer(200, "<CopyObjectResult><ETag>" .. etag .. "</ETag></CopyObjectResult>")
    end
    ngx.header["Content-Length"] = 0
    return answer(200)
elseif method == "POST" and args:find("uploads", 1, true) then
    return answer(200, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
elseif method == "POST" and args:find("uploadId", 1, true) then
    return answer(200, "<CompleteMultipartUploadResult><ETag>" .. etag .. "</ETag></CompleteMultipartUploadResult>")
elseif method == "POST" and args:find("delete", 1, true) then
    return answer(200, "<DeleteResult></DeleteResult>")
elseif method == "DELETE" then
    return answer(204)
end
return answer(501, "<Error><Code>NotImplemented</Code></Error>")
LUA
    cat >>"$W/nginx.conf.new" <<CONF
daemon off;
pid $W/run/nginx.master;
error_log $W/log/error.log warn;
user root;
worker_processes ${WORKERS:-1};
events { worker_connections 8192; multi_accept on; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format counts "$LOG_FORMAT";
    access_log $([ -z "${ACCESS_LOG:-}" ] && echo off || echo "$W/log/access.log counts");
    sendfile ${SENDFILE:-on};
    sendfile_max_chunk 4m;
    tcp_nopush on;
    output_buffers 2 512k;
    keepalive_timeout 75s;
    keepalive_requests 1000000;
    open_file_cache max=10000 inactive=60s;
    open_file_cache_valid 1s;
    client_max_body_size 0;
    client_body_temp_path $W/tmp/body;
    proxy_temp_path $W/tmp/proxy;
    fastcgi_temp_path $W/tmp/f; uwsgi_temp_path $W/tmp/u; scgi_temp_path $W/tmp/s;
    dav_ext_lock_zone zone=locks:1m;
    server {
        listen 127.0.0.1:$PORT backlog=4096;
        $([ "$TLS_PORT" = 0 ] || echo "listen 127.0.0.1:$TLS_PORT ssl http2 backlog=4096;")
        $([ "$H2C_PORT" = 0 ] || echo "listen 127.0.0.1:$H2C_PORT http2 backlog=4096;")
        ssl_certificate $W/tls/server.pem;
        ssl_certificate_key $W/tls/server.key;
        ssl_session_cache shared:tls:1m;
        ssl_buffer_size 16k;
        root $ROOT;
        location / { }
        location /dav/ {
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
            dav_ext_lock zone=locks;
            create_full_put_path on;
        }
        location /s3/ {
            access_by_lua_file $W/s3.lua;
            lua_socket_buffer_size 1m;
            client_body_buffer_size 1m;
        }
        location /autoindex/ { alias $ROOT/; autoindex on; autoindex_format json; }
        location /htmlindex/ { alias $ROOT/; autoindex on; }
        location /auth/ { alias $ROOT/; auth_basic test; auth_basic_user_file $W/htpasswd; }
        location ~ ^/redirect(/.*)\$ { return 307 \$1; }
        location ~ ^/status/(\d+)\$ { return 200; error_page 404 = /status/404; }
        location /slow/ { alias $ROOT/; limit_rate 10m; }
    }
}
CONF
    # return takes no variable: one location for each status worth testing.
    local c all=
    for c in 400 401 403 404 408 409 412 416 429 500 501 502 503 504; do
        all+="location = /status/$c { return $c; } "
    done
    sed -i "s#location ~ ^/status/.*#$all#" "$W/nginx.conf.new"
    mv "$W/nginx.conf.new" "$W/nginx.conf"
}

start() {
    if ! alive nginx; then
        need_ports nginx "$PORT" "$TLS_PORT" "$H2C_PORT"
        make_certs
        [ -z "${FILES_MEMORY:-}" ] || { mkdir -p "/dev/shm$W/root"; ln -sfn "/dev/shm$W/root" "$W/root"; }
        mkdir -p "$ROOT"
        write_conf
        spawn nginx nginx -e "$W/log/error.log" -c "$W/nginx.conf"
        wait_for nginx 10 port_open "$PORT"
    fi
    cat >"$W/env" <<ENV
HTTP_ENDPOINT=http://127.0.0.1:$PORT
HTTPS_ENDPOINT=$([ "$TLS_PORT" = 0 ] || echo "https://localhost:$TLS_PORT")
H2C_ENDPOINT=$([ "$H2C_PORT" = 0 ] || echo "http://127.0.0.1:$H2C_PORT")
HTTP_CA=$W/tls/ca.pem
HTTP_ROOT=$ROOT
S3_ENDPOINT=http://127.0.0.1:$PORT/s3
HTTP_USER=user
HTTP_PASSWORD=secret
STOP="$SELF stop $W"
ENV
    cat "$W/env"
}

[ $# -ge 1 ] || usage
[ "$1" != install ] || { apt_install nginx-extras libnginx-mod-http-lua openssl; exit; }
[ $# -ge 2 ] || usage
workdir "$2"
PORT=${3:-8080} TLS_PORT=${4:-8443} ROOT=$(realpath -m "${5:-$W/root}") H2C_PORT=${H2C_PORT:-0}
case $1 in
start) start ;;
stop) stop_daemons nginx ;;
wipe) stop_daemons nginx; wipe_dir; rm -rf "/dev/shm$W" ;;
status) show_daemons nginx ;;
*) usage ;;
esac
