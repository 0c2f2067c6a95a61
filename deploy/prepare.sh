#!/bin/sh
# Gets ready what pip cannot bring. Called by the Makefile:
#
#   prepare.sh venv PYTHON DIRECTORY       a virtual environment with pip in it
#   prepare.sh broker required|optional    a RabbitMQ for the tests, or for the demo
#   prepare.sh broker installed            one on this machine, for benchmarks: no other will do
#   prepare.sh compiler required|optional|never PYTHON    a C compiler for the reader of messages
#   prepare.sh commands NAME...            programs whose Debian packages have the same names
#
# As root on Debian (or a relative of it) missing packages are installed with apt-get; anybody else
# is told what to install. Nothing is installed where it is there already.

set -eu

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

can_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; }

quietly() {
    if ! "$@" </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        return 1
    fi
}

# apt_install PACKAGE...: with what it prints shown only where it fails. A policy-rc.d that refuses
# keeps a server package from starting its system service; one that is there already is respected.
apt_install() {
    say "installing Debian package $*"
    log=$(mktemp)
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        trap 'rm -f "$log"' EXIT
    else
        trap 'rm -f "$log" "$policy"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    install="apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends"
    # shellcheck disable=SC2086  # the command is several words
    $install "$@" </dev/null >"$log" 2>&1 ||
        { quietly apt-get update && quietly $install "$@"; } ||
        die "apt-get could not install $*; see above"
}

# --- venv --------------------------------------------------------------------------------------

prepare_venv() {
    python=$1
    directory=$2
    command -v "$python" >/dev/null 2>&1 ||
        die "there is no $python; install Python 3.11 or newer, or say make PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" --version); Python 3.11 or newer is needed:" \
            "say make PYTHON=/path/to/python3"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        can_install ||
            die "$python cannot make virtual environments; install its venv package," \
                "on Debian: sudo apt-get install $package"
        apt_install "$package"
    fi
    "$python" -m venv "$directory"
}

# --- broker ------------------------------------------------------------------------------------

broker_installed() {
    command -v rabbitmq-server >/dev/null 2>&1 ||
        [ -x /usr/sbin/rabbitmq-server ] || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]
}

docker_answers() {
    command -v docker >/dev/null 2>&1 && docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Tests that stop and restart a broker need an installed one, so it is installed wherever it can be.
prepare_broker() {
    if broker_installed; then
        return
    fi
    if can_install; then
        apt_install rabbitmq-server
    elif [ "$1" = optional ]; then
        say "no RabbitMQ is installed: the demo goes on without a queue" \
            "(on Debian: sudo apt-get install --no-install-recommends rabbitmq-server)"
    elif [ "$1" = installed ]; then
        die "this needs an installed RabbitMQ, on Debian:" \
            "sudo apt-get install --no-install-recommends rabbitmq-server"
    elif [ -n "${TEST_AMQP_URL:-}" ] || docker_answers; then
        say "no RabbitMQ is installed: tests that restart a broker will fail and say so"
    else
        die "the tests need a RabbitMQ, and none was found. Do one of these:
  sudo apt-get install --no-install-recommends rabbitmq-server   (the tests start their own)
  start Docker                                                   (the tests start a container)
  export TEST_AMQP_URL=amqp://user:password@host/vhost           (one that tests may write to)"
    fi
}

# --- compiler ----------------------------------------------------------------------------------

# compiles PYTHON HEADER: whether C that includes the header can be compiled for PYTHON, whose headers
# are in $include then. The compiler is the one that hatch_build.py would take.
compiles() {
    header=$2
    include=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    own=$("$1" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')
    # shellcheck disable=SC2086  # the command may be several words
    set -- ${CC:-$own}
    [ -n "${CC:-}" ] || command -v "$1" >/dev/null 2>&1 || set -- cc
    printf '#include <%s>\n' "$header" | "$@" "-I$include" -fsyntax-only -x c - >/dev/null 2>&1
}

# Where CC names a compiler that does not work, installing another one would not help.
prepare_compiler() {
    [ "$1" != never ] || return 0
    if compiles "$2" Python.h; then
        return
    fi
    missing=
    compiles "$2" stdio.h || missing=" gcc libc6-dev"
    [ -e "$include/Python.h" ] ||
        missing="$missing $("$2" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
    remedy="on Debian: sudo apt-get install$missing"
    if [ -n "${CC:-}" ]; then
        remedy="CC is '$CC': unset it, or let it name one that does"
    elif [ -z "$missing" ]; then
        remedy="see why: echo '#include <Python.h>' | cc -I$include -fsyntax-only -x c -"
    elif can_install; then
        # A shell of its own, so that a failure does not end this one. The list is one of names.
        # shellcheck disable=SC2086
        if (apt_install $missing) && compiles "$2" Python.h; then
            return
        fi
    fi
    [ "$1" = optional ] || die "this needs a C compiler that works and finds Python.h; $remedy"
    say "there is no C compiler that works and finds Python.h; $remedy"
}

# --- commands ----------------------------------------------------------------------------------

prepare_commands() {
    missing=
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 || missing="$missing $name"
    done
    if [ -n "$missing" ]; then
        can_install || die "these are needed, on Debian: sudo apt-get install$missing"
        # shellcheck disable=SC2086  # a list of names
        apt_install $missing
    fi
}

verb=${1:-}
[ $# -eq 0 ] || shift
case "$verb $#" in
    "venv 2") prepare_venv "$@" ;;
    "broker 1") prepare_broker "$@" ;;
    "compiler 2") prepare_compiler "$@" ;;
    commands*) prepare_commands "$@" ;;
    *) die "usage: prepare.sh venv PYTHON DIRECTORY | broker required|optional|installed |" \
        "compiler required|optional|never PYTHON | commands NAME..." ;;
esac
