#!/bin/sh
# A time-stamp authority of one's own for a test: openssl ts, over HTTP on loopback.
#   tsa.sh start DIR   make (once) its keys in DIR and start it, print its URL; its root certificate is DIR/ca.pem
#   tsa.sh stop DIR    stop it
# Where openssl or python3 is missing it prints nothing and exits 77.
set -eu
[ $# -eq 2 ] || { sed -n 2,5p "$0" >&2; exit 2; }
what=$1 dir=$2
command -v openssl >/dev/null && command -v python3 >/dev/null || exit 77
make_keys() {
  cat >"$dir/tsa.cnf" <<CNF
[req]
distinguished_name = dn
prompt = no
[dn]
CN = Time-stamp authority for tests
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[signer]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = authority
[authority]
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
certs = $dir/ca.pem
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
CNF
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/ca.key" -out "$dir/ca.pem" -days 30 \
    -config "$dir/tsa.cnf" -extensions ca -subj "/CN=Root of the tests" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/tsa.key" -out "$dir/tsa.csr" -config "$dir/tsa.cnf" 2>/dev/null
  openssl x509 -req -in "$dir/tsa.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial 2 -days 30 -extfile "$dir/tsa.cnf" -extensions signer \
    -out "$dir/tsa.pem" 2>/dev/null
  echo 01 >"$dir/serial"
}
case $what in
start)
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  [ -f "$dir/tsa.pem" ] || make_keys
  rm -f "$dir/url"
  cat >"$dir/front.py" <<'PY'
import http.server, os, subprocess, sys, tempfile
folder = sys.argv[1]
class Front(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers.get("Content-Length", "0"))
        if self.headers.get("Content-Type") != "application/timestamp-query" or not 0 < size < 65536:
            self.send_error(400)
            return
        with tempfile.NamedTemporaryFile(dir=folder) as query:
            query.write(self.rfile.read(size))
            query.flush()
            made = subprocess.run(["openssl", "ts", "-reply", "-config", folder + "/tsa.cnf", "-queryfile", query.name], capture_output=True)
        if made.returncode:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(made.stdout)))
        self.end_headers()
        self.wfile.write(made.stdout)
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Front)
with open(folder + "/pid", "w") as f:
    f.write(str(os.getpid()))
with open(folder + "/url.new", "w") as f:
    f.write("http://127.0.0.1:%d/\n" % server.server_address[1])
os.rename(folder + "/url.new", folder + "/url")
server.serve_forever()
PY
  python3 "$dir/front.py" "$dir" >/dev/null 2>&1 </dev/null &
  tries=0
  until [ -f "$dir/url" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || exit 1
    sleep 0.1
  done
  cat "$dir/url"
  ;;
stop)
  [ ! -f "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
  rm -f "$dir/pid" "$dir/url"
  ;;
*) exit 2 ;;
esac
