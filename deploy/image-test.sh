#!/bin/sh
# Builds the image of the Dockerfile and runs the daemon from it, without a container engine.
#
# The base is a minimal Debian with Python (mmdebstrap); buildah builds on it with the plainest
# means there are (vfs storage, chroot isolation), so that this works inside a container too. Then
# the daemon runs from the image as its own user, takes one of Radial's samples on its webhook,
# writes the event to the volume, answers its health check and stops on SIGTERM. Everything is made
# in a temporary directory and removed in the end. Needs root, Debian's packages and about 3 GB.
#
#   IMAGE_TEST_SUITE    the Debian release of the base, default bookworm
#   PIP_INDEX_URL       passed on to the build where it is set

set -eu
cd "$(dirname "$0")/.."

suite=${IMAGE_TEST_SUITE:-bookworm}
sample=tests/data/radial/OrderBackorder-Backorder.xml
user=10001

step() { printf '== %s\n' "$*"; }

die() {
    printf 'image-test: %s\n' "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || die "needs root: building with chroot isolation mounts file systems"
sh deploy/prepare.sh commands buildah mmdebstrap

work=$(mktemp -d)
runner=
daemon=
container=

box() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

# inside COMMAND...: run a command in a container of the image, as the image's user.
inside() {
    box run --isolation chroot --volume "$work/volume:/var/lib/backorder-consumer" \
        --volume "$work/etc:/etc/backorder-consumer:ro" \
        --env "BACKORDER_HEALTH_URL=http://127.0.0.1:$admin/healthz" "$container" -- "$@"
}

image_says() { box inspect --type image --format "{{$1}}" backorder-consumer; }

# health_check: what the engine would run, word for word.
health_check() {
    inside "$(image_says 'index .Docker.Config.Healthcheck.Test 1')" \
        "$(image_says 'index .Docker.Config.Healthcheck.Test 2')" \
        "$(image_says 'index .Docker.Config.Healthcheck.Test 3')"
}

cleanup() {
    status=$?
    trap - EXIT
    if [ "$status" -ne 0 ] && [ -s "$work/daemon.log" ]; then
        echo "the daemon said:" >&2
        tail -n 30 "$work/daemon.log" >&2
    fi
    for pid in $daemon $runner; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    if [ -n "$container" ]; then
        box rm "$container" >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# get URL: print the body; fails where the status is not 2xx.
get() {
    python3 -c 'import sys, urllib.request as r
print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=10).read().decode())' "$1"
}

# until_true SECONDS COMMAND...: try again and again.
until_true() {
    tries=$(($1 * 5))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "this did not come true in time: $*"
        sleep 0.2
    done
}

# --- build -------------------------------------------------------------------------------------

step "a minimal Debian $suite with Python as the base image"
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv \
    --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$work/base.tar"
base=$(box from scratch)
box add --quiet "$base" "$work/base.tar" / >/dev/null
box commit --quiet --rm "$base" localhost/python-base >/dev/null
rm "$work/base.tar"

step "the image"
mkdir -p "$work/volume" "$work/etc"
box build --quiet --pull-never --isolation chroot --format docker --layers=false \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    --build-arg "PIP_INDEX_URL=${PIP_INDEX_URL:-}" \
    --build-arg PYTHON_IMAGE=localhost/python-base \
    --tag backorder-consumer --file Dockerfile . >/dev/null
container=$(box from --pull-never backorder-consumer)

step "what it is made of"
[ "$(image_says .Docker.Config.User)" = "$user:$user" ] || die "it does not run as $user"
[ "$(image_says .Docker.Config.Entrypoint)" = "[backorder-consumer]" ] || die "wrong entry point"
[ "$(image_says .Docker.Config.Cmd)" = "[run]" ] || die "wrong command"
[ "$(image_says .Docker.Config.StopSignal)" = SIGTERM ] || die "wrong stop signal"
root=$(box mount "$container")
for unwanted in build root/.cache opt/backorder-consumer/bin/pip etc/pip.conf \
    usr/bin/cc usr/bin/gcc usr/bin/make usr/bin/git; do
    [ ! -e "$root/$unwanted" ] || die "/$unwanted does not belong into the image"
done
for wanted in schemas/Order-Backorder-Event-1.0.xsd journal/sqlite.sql py.typed \
    'normalisation/xml_compiled.*.so'; do
    find "$root/opt/backorder-consumer/lib" -path "*/site-packages/consumer/$wanted" | grep -q . ||
        die "consumer/$wanted is missing from the image"
done
box umount "$container" >/dev/null
# buildah would mount the image's own volume too, over ours now and then.
[ "$(image_says 'len .Docker.Config.Volumes')" = 1 ] || die "it does not declare its one volume"
box config --volume /var/lib/backorder-consumer- "$container"

# --- run ---------------------------------------------------------------------------------------

# Two ports that are free now; both sockets are open at once, so that they differ.
# shellcheck disable=SC2046  # two words are wanted
set -- $(python3 -c 'import socket
ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(end.getsockname()[1] for end in ends))')
webhooks=$1
admin=$2
cat >"$work/etc/consumer.toml" <<TOML
[journal]
url = "sqlite:var/journal.db"
[webhooks]
listen = "127.0.0.1:$webhooks"
[admin]
listen = "127.0.0.1:$admin"
[[sources]]
type = "radial-webhook"
name = "radial-webhook"
path = "/webhooks/radial/order-backorder"
[[sinks]]
type = "file"
name = "archive"
path = "var/events.jsonl"
TOML
chown "$user:$user" "$work/volume"
chmod 755 "$work" "$work/etc"

step "the daemon"
inside backorder-consumer --version
inside backorder-consumer check
# `exec` keeps the process id, which is how the signal below finds the daemon itself.
inside sh -c 'echo $$ >pid && exec backorder-consumer run' >"$work/daemon.log" 2>&1 &
runner=$!
until_true 60 get "http://127.0.0.1:$admin/readyz"
daemon=$(cat "$work/volume/pid")
grep -q "^Uid:[[:space:]]${user}[[:space:]]${user}" "/proc/$daemon/status" || die "wrong user"
until_true 5 grep -q '"xml_reader": *"compiled"' "$work/daemon.log"

step "a sample, posted to its webhook"
python3 -c 'import sys, urllib.request as r
request = r.Request(sys.argv[1], open(sys.argv[2], "rb").read(), {"Content-Type": "application/xml"})
answer = r.build_opener(r.ProxyHandler({})).open(request, timeout=30)
print(answer.status, answer.read().decode())
sys.exit(answer.status != 200)' "http://127.0.0.1:$webhooks/webhooks/radial/order-backorder" "$sample"
until_true 30 grep -q '"backorder.opened"' "$work/volume/var/events.jsonl"

step "its health check"
[ "$(image_says 'index .Docker.Config.Healthcheck.Test 0')" = CMD ] || die "no health check"
health_check

step "SIGTERM"
kill -TERM "$daemon"
status=0
wait "$runner" || status=$?
runner=
daemon=
[ "$status" -eq 0 ] || die "the daemon ended with status $status"
if health_check >/dev/null 2>&1; then
    die "the health check calls a stopped daemon healthy"
fi

step "the image builds, runs, delivers, and stops"
