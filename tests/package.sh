#!/bin/sh
# The Debian package, from the source to the purge: built and linted here, installed into a fresh Debian 12, run there as its unit would run
# it, upgraded, copied and restored, removed. As root; minutes long. `./test --long` calls it.
#   tests/package.sh [FOLDER]    FOLDER (else a temporary one) keeps packages and log; the fresh system is always taken away
set -eu
cd "$(dirname "$0")/.."
tree=$PWD
say() { printf '== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "a fresh system can only be made by root"

# A mount namespace of our own: whatever is mounted in the fresh system goes when we go.
if [ -z "${CHAPAR_PACKAGE_INSIDE:-}" ]; then
  tools/install package
  CHAPAR_PACKAGE_INSIDE=yes exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi
mount --make-rprivate /
made=
[ $# -gt 0 ] || { set -- "$(mktemp -d)"; made=$1; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
fresh=$(mktemp -d)
chmod 755 "$fresh"
trap 'umount -l "$fresh/proc" "$fresh/dev" 2>/dev/null; rm -rf --one-file-system "$fresh" $made' EXIT
trap 'exit 1' INT TERM
inside="chroot $fresh env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive"
as_unit="$inside setpriv --reuid=chapar --regid=chapar --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
inside() { $inside "$@"; }
as_unit() { $as_unit "$@"; }

say "building in a copy of the tree"
rm -rf "$work/chapar"
mkdir "$work/chapar"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/chapar" 2>/dev/null ||
  tar -C "$tree" --exclude=./build --exclude='./build-*' --exclude=node_modules --exclude=./data -cf - . | tar -C "$work/chapar" -xf -
began=$(date +%s)
(cd "$work/chapar" && DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -us -uc -b) >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; fail "the package does not build"; }
echo "built in $(($(date +%s) - began)) s"
deb=$(ls "$work"/chapar_*.deb)

say "lintian, the unit, the binary's hardening"
lintian --allow-root --fail-on error,warning --display-info "$deb"
unit=$work/chapar/debian/chapar.service
binary=$work/chapar/debian/chapar/usr/bin/chapar
systemd-analyze security --offline=true --threshold=20 "$unit" | tail -n 1
mkdir -p "$work/unit"
sed "s#/usr/bin/chapar#$binary#" "$unit" >"$work/unit/chapar.service"
systemd-analyze verify --man=no "$work/unit/chapar.service" >"$work/verify.log" 2>&1 || true
if grep chapar.service "$work/verify.log"; then fail "the unit"; fi
# Branch protection is in our code, but the C library's start files of Debian 12 are without it, so that the mark is lost.
hardening-check --nocfprotection "$binary"

say "a fresh Debian 12"
sources=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' | awk '$2 ~ /^bookworm/ && $3 == "main"' | sort -u)
mirror=$(echo "$sources" | awk '$2 == "bookworm" { print $1; exit }')
[ -n "$mirror" ] || fail "apt knows no mirror of Debian 12 here"
debootstrap --variant=minbase bookworm "$fresh" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; fail "debootstrap"; }
echo "$sources" | sed 's/^/deb /' >"$fresh/etc/apt/sources.list"
cp /etc/resolv.conf "$fresh/etc/resolv.conf"
apt-config dump Acquire | grep -i '::proxy' >"$fresh/etc/apt/apt.conf.d/80proxy" || true
printf '#!/bin/sh\nexit 101\n' >"$fresh/usr/sbin/policy-rc.d"
chmod +x "$fresh/usr/sbin/policy-rc.d"
mount -t proc proc "$fresh/proc"
mount --rbind /dev "$fresh/dev"

say "installing"
cp "$deb" "$fresh/root/"
inside apt-get update -qq -o APT::Sandbox::User=root
before=$(inside dpkg-query -W -f='${Package}\n' | sort)
inside apt-get install -y -qq --no-install-recommends "/root/$(basename "$deb")" >"$work/install.log" 2>&1 || { tail "$work/install.log"; fail "the package does not install"; }
inside dpkg --verify chapar
[ "$(inside stat -c '%a %U:%G' /etc/chapar/chapar.conf)" = "640 root:chapar" ] || fail "the settings can be read by anybody"
[ "$(inside stat -c '%a %U' /var/lib/chapar)" = "700 chapar" ] || fail "the data folder is not the service's own"
inside test ! -e /etc/systemd/system/multi-user.target.wants/chapar.service || fail "the service was enabled without being asked"
inside chapar version
inside chapar check /usr/share/chapar/packs/khorasan-razavi
inside test -s /usr/share/man/man1/chapar.1.gz
inside test -s /usr/share/doc/chapar/operator/guide.md

say "first start, as the unit does it"
line=$(sed -n 's/^ExecStart=//p' "$fresh/lib/systemd/system/chapar.service")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/^listen = .*/listen = 127.0.0.1:$port/" "$fresh/etc/chapar/chapar.conf"
ask() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen("http://127.0.0.1:'"$port"'" + sys.argv[1], timeout=10).read().decode())' "$1"; }
start() {
  (umask 077 && exec $as_unit $line >"$work/serve.log" 2>&1) &
  pid=$!
  tries=0
  until ask /health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] && kill -0 $pid 2>/dev/null || { cat "$work/serve.log"; fail "it does not serve"; }
    sleep 0.2
  done
}
stop() { kill -TERM $pid && wait $pid || fail "it did not stop in good order"; }
start
ask /health | grep -q '"status":"ok"'
if ask /demo/accounts >/dev/null 2>&1; then fail "a demonstration nobody asked for"; fi
echo "a long password" | as_unit chapar staff add --config /etc/chapar/chapar.conf --username first --organisation ostandari --role operator
if echo "a long password" | inside chapar staff add --config /etc/chapar/chapar.conf --username second --organisation ostandari --role operator 2>"$work/root.log"; then
  fail "root may leave files that the service cannot read"
fi
grep -q 'runuser -u chapar' "$work/root.log"
python3 - "$port" <<'PY'
import json, sys, urllib.request
base = "http://127.0.0.1:" + sys.argv[1] + "/api/v1"
def call(path, body=None, **headers):
    r = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    return json.load(urllib.request.urlopen(r, timeout=10))
example = call("/services/village-residence")["form_schema"]["examples"][0]
case = call("/services/village-residence/cases", {"data": example}, **{"Idempotency-Key": "package"})
assert call("/cases/" + case["tracking"])["tracking"] == case["tracking"]
call("/sessions", {"username": "first", "password": "a long password"})
print("a case is filed, the first operator signs in")
PY

say "a copy while it serves, an upgrade, the copy put back"
as_unit chapar backup --config /etc/chapar/chapar.conf /var/lib/chapar/copy
inside apt-get install -y -qq --reinstall --allow-downgrades "/root/$(basename "$deb")" >>"$work/install.log" 2>&1 || fail "the package cannot be installed over itself"
grep -q "127.0.0.1:$port" "$fresh/etc/chapar/chapar.conf" || fail "an upgrade changed the settings"
stop
start
stop
as_unit chapar ledger verify --config /etc/chapar/chapar.conf
as_unit sh -c 'umask 077; chapar restore --data /var/lib/chapar/again /var/lib/chapar/copy'

say "removed and purged"
inside apt-get purge -y -qq chapar >>"$work/install.log" 2>&1 || fail "purge"
inside test -e /var/lib/chapar/chapar.db || fail "a purge took the cases away"
for left in /etc/chapar /usr/bin/chapar /usr/share/chapar /usr/share/doc/chapar /lib/systemd/system/chapar.service; do
  inside test ! -e $left || fail "$left is left after the purge"
done
rm -rf "$fresh/var/lib/chapar"
inside apt-get install -y -qq --no-install-recommends "/root/$(basename "$deb")" >>"$work/install.log" 2>&1 || fail "it does not install again"
inside apt-get purge -y -qq chapar >>"$work/install.log" 2>&1
inside apt-get autoremove -y -qq --purge >>"$work/install.log" 2>&1
inside test ! -e /var/lib/chapar || fail "an empty data folder is left after the purge"
if inside getent passwd chapar; then fail "the user is left though nothing is his"; fi
after=$(inside dpkg-query -W -f='${Package}\n' | sort)
[ "$before" = "$after" ] || echo "packages that stay: $(echo "$after" | grep -vxF "$before" | tr '\n' ' ')"
say "the package is good: $(basename "$deb"), $(($(stat -c %s "$deb") / 1024)) KiB"
