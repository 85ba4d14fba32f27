"""HAProxy and nginx as the relay's tests need them: in front of it, between two of it, and behind it."""
from relay_bench import run

HAPROXY = """
global
  log stdout format raw local0
defaults
  mode {mode}
  log global
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout check 10s
{sections}
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid {at}.pid; error_log {at}.log info;
events {{ worker_connections 512; }}
{blocks}
"""

NGINX_HTTP = """
http {{
  log_format who '$remote_addr $remote_port $proxy_protocol_server_addr $proxy_protocol_server_port $host $http_x_said';
  access_log {at}-access.log who;
  client_body_temp_path {at}-body; proxy_temp_path {at}-proxy; fastcgi_temp_path {at}-fastcgi;
  uwsgi_temp_path {at}-uwsgi; scgi_temp_path {at}-scgi;
  server {{
    {listen}
    {tls}
    set_real_ip_from 127.0.0.0/8; set_real_ip_from ::1; real_ip_header proxy_protocol;
    location / {{ default_type text/plain; return 200 "{answer}"; }}
  }}
}}
"""

NGINX_TLS = """ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate}.pem; ssl_certificate_key {certificate}.key;"""

# What it says itself is version 1.
NGINX_STREAM = """
stream {{
  server {{
    {listen}
    set_real_ip_from 127.0.0.0/8; set_real_ip_from ::1;
    proxy_pass {target}; proxy_protocol on;
  }}
}}
"""


class Web:
    """An nginx that answers every request with the client's address and port, and writes them down."""

    def __init__(self, bench, proxy_protocol=True, certificate=None, answer="$remote_addr $remote_port"):
        self.bench, self.name, self.port = bench, f"web{len(bench.programs)}", bench.free_port()
        tls = NGINX_TLS.format(certificate=certificate) if certificate else ""
        options = (" ssl" if certificate else "") + (" proxy_protocol" if proxy_protocol else "")
        http = NGINX_HTTP.format(at=bench.path(self.name), listen=both(self.port, options), tls=tls, answer=answer)
        start_nginx(bench, self.name, self.port, http)

    def visitors(self):
        """Of each request: client, its port, where the first proxy was dialled, that port, Host, X-Said."""
        return [line.split() for line in self.bench.text(self.name + "-access.log").splitlines()]


def both(port, options=""):
    return f"listen 127.0.0.1:{port}{options}; listen [::1]:{port}{options};"


def start_nginx(bench, name, port, blocks):
    path = bench.file(name + ".conf", NGINX.format(at=bench.path(name), blocks=blocks))
    bench.daemon(["nginx", "-c", path, "-p", bench.folder], port, name + ".out")


def nginx_stream(bench, target, accept=False):
    """nginx as a proxy on a port of both families; gives the port."""
    port, name = bench.free_port(), f"stream{len(bench.programs)}"
    listen = both(port, " proxy_protocol" if accept else "")
    start_nginx(bench, name, port, NGINX_STREAM.format(listen=listen, target=target))
    return port


def haproxy(bench, target, server="send-proxy-v2", accept=False, mode="tcp", frontend="", sections=""):
    """HAProxy with one server on a port of both families; gives the port."""
    port, name = bench.free_port(), f"haproxy{len(bench.programs)}"
    bind = " accept-proxy" if accept else ""
    one = f"""
listen front
  bind 127.0.0.1:{port}{bind}
  bind [::1]:{port}{bind}
  {frontend}
  server next {target} {server}
{sections}"""
    path = bench.file(name + ".cfg", HAPROXY.format(mode=mode, sections=one))
    bench.daemon(["haproxy", "-db", "-f", path], port, name + ".log")
    return port


def self_signed(bench, name):
    """A certificate for one name: what both of its files are called, without their endings."""
    at = bench.path(name)
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", at + ".key", "-out", at + ".pem"])
    return at

