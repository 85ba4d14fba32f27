#!/bin/sh
# proxy_recipes.sh RECIPES WORK [SMARTVPN]: HAProxy, nginx and the command accept the files that the guide quotes.
# Only paths that every site has its own of are replaced: certificates, the key, nginx's run-time folder.
set -eu
recipes=$1 work=$2 smartvpn=${3:-}
rm -rf "$work"
mkdir -p "$work"
cd "$work"
for program in haproxy nginx openssl; do
  command -v "$program" > /dev/null || { echo "skipped: $program is not installed"; exit 77; }
done

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=vpn.example.com \
  -keyout vpn.key -out vpn.crt 2> /dev/null
cat vpn.crt vpn.key > vpn.pem

sed "s|/etc/haproxy/|$work/|" "$recipes/haproxy.cfg" > haproxy.cfg
haproxy -c -q -f haproxy.cfg

stream=$(find /usr/lib/nginx/modules /usr/lib64/nginx/modules -name ngx_stream_module.so 2> /dev/null | head -n 1)
[ -n "$stream" ] || { echo "skipped: nginx has no stream module"; exit 77; }
{
  echo "load_module $stream; pid $work/nginx.pid; error_log stderr; events {}"
  sed "s|/etc/nginx/|$work/|" "$recipes/nginx-stream.conf"
} > nginx.conf
nginx -t -q -p "$work" -e stderr -c "$work/nginx.conf"

mkdir -p temporary
own="access_log off;"
for kind in client_body proxy fastcgi uwsgi scgi; do own="$own ${kind}_temp_path $work/temporary/$kind;"; done
{
  echo "pid $work/nginx.pid; error_log stderr; events {}"
  sed -e "s|/etc/nginx/|$work/|" -e "s|^http {|http { $own|" "$recipes/nginx-http.conf"
} > nginx-http.conf
nginx -t -q -p "$work" -e stderr -c "$work/nginx-http.conf"

key=$(openssl rand -base64 32)
for server in server.json server-http.json; do
  sed "s|what .smartvpn keygen. printed|$key|" "$recipes/$server" > "$server"
  if [ -n "$smartvpn" ]; then
    "$smartvpn" check --config "$work/$server"
  else
    python3 -m json.tool "$server" > /dev/null
  fi
done
for relay in "$recipes"/../relay/*.json; do
  if [ -n "$smartvpn" ]; then "$smartvpn" check --config "$relay"; else python3 -m json.tool "$relay" > /dev/null; fi
done
