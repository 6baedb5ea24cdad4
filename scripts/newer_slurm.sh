#!/bin/sh
# Runs a command in a small Debian 13, whose Slurm is a newer one (24.11) than that of Debian 12 (22.05):
#
#     scripts/newer_slurm.sh build          make its root by debootstrap, once (900 MB, minutes; needs root and a Debian mirror)
#     scripts/newer_slurm.sh there          exit code 0 if that was done
#     scripts/newer_slurm.sh COMMAND ...    run COMMAND there, in this folder, with this environment's Python (VENV)
#
# The root lies outside of the repository, in NEWER_SLURM_ROOT, and is only read: what a command writes there goes with it. It has
# process ids, mounts, a network and a host name of its own, so it may run beside a Slurm of this machine and ends with its command.
# Exit code 3: there can be no such root here, and the last line says why.
set -eu
cd "$(dirname "$0")/.."
root=${NEWER_SLURM_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/orch-tests/debian-13}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
python=$PWD/${VENV:-.venv}/bin/python

cannot() { echo "newer_slurm: $*" >&2; exit 3; }

build() {
    command -v debootstrap >/dev/null 2>&1 || cannot "debootstrap is missing; install it: apt-get install debootstrap"
    mkdir -p "$(dirname "$root")"
    # Two at a time would write into the same folder.
    exec 9>"$root.lock"
    flock 9
    if [ -d "$root" ]; then return; fi
    new=$root.new
    rm -rf "$new"
    echo "newer_slurm: making $root (once)" >&2
    {
        debootstrap --variant=minbase trixie "$new" "$mirror"
        # Nothing that is installed there is started.
        printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
        chmod +x "$new/usr/sbin/policy-rc.d"
        cp /etc/resolv.conf "$new/etc/resolv.conf"
        # Debian 13's slurmdbd ends at its start with the MariaDB client library of 13.8 (11.8.9); it works with that of Debian 12.
        echo "deb $mirror bookworm main" >"$new/etc/apt/sources.list.d/bookworm.list"
        printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 100\n' >"$new/etc/apt/preferences.d/bookworm"
        chroot "$new" sh -e -c '
            export DEBIAN_FRONTEND=noninteractive
            apt-get update
            apt-get install -y --no-install-recommends slurm-wlm slurmdbd munge mariadb-server iproute2 procps git bubblewrap
            cd /tmp
            apt-get download libmariadb3/bookworm
            dpkg -x libmariadb3_*.deb /opt/libmariadb-10.11
            rm libmariadb3_*.deb
            apt-get clean'
        cat >"$new/usr/local/sbin/slurmdbd" <<'WRAPPER'
#!/bin/sh
LD_LIBRARY_PATH=/opt/libmariadb-10.11/usr/lib/x86_64-linux-gnu exec /usr/sbin/slurmdbd "$@"
WRAPPER
        chmod +x "$new/usr/local/sbin/slurmdbd"
    } >"$root.log" 2>&1 || cannot "the root could not be made: $(tail -n 1 "$root.log") (see $root.log)"
    mv "$new" "$root"
}

# In namespaces of our own: lay this machine's Python and this folder into the root, and go there.
inside() {
    work=$root.mount
    mkdir -p "$work"
    mount -t tmpfs tmpfs "$work"
    mkdir "$work/upper" "$work/work" "$work/root"
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root" ||
        cannot "this machine allows no overlay of folders"
    mount --rbind /dev "$work/root/dev"
    mount -t proc proc "$work/root/proc"
    mount -t tmpfs tmpfs "$work/root/tmp"
    chmod 1777 "$work/root/tmp"
    # One path a line: all that this Python reads, wherever it is installed.
    "$python" -c '
import os, sys, sysconfig
whole = [os.getcwd(), sys.prefix]
whole += [sys.base_prefix] if sys.base_prefix not in ("/usr", "/") else [os.path.realpath(sys.executable), sysconfig.get_path("stdlib")]
paths = whole + [path for path in sys.path if path]
for path in dict.fromkeys(paths):
    if os.path.exists(path) and not path.startswith("/usr/lib/x86"):
        print(path)' >"$work/paths"
    while read -r path; do
        if [ -d "$path" ]; then mkdir -p "$work/root$path"; else mkdir -p "$work/root$(dirname "$path")"; : >"$work/root$path"; fi
        mount --rbind "$path" "$work/root$path"
    done <"$work/paths"
    # slurmdbd does not start where loopback is the only interface.
    hostname debian13
    ip link set lo up
    ip link add slurm0 type dummy 2>/dev/null || ip link add slurm0 type veth peer name slurm1
    ip address add 10.131.0.1/24 dev slurm0
    ip link set slurm0 up
    ip link set slurm1 up 2>/dev/null || true
    printf '127.0.0.1 localhost\n10.131.0.1 debian13\n' >"$work/root/etc/hosts"
    exec chroot "$work/root" /usr/bin/env -i PATH="$(dirname "$python"):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" CI="${CI:-}" \
        sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"
}

case ${1:?usage: newer_slurm.sh build | there | COMMAND ...} in
--inside)
    shift
    inside "$@"
    ;;
build) build ;;
there) [ -d "$root" ] ;;
*)
    [ "$(id -u)" = 0 ] || cannot "needs root"
    [ "$(uname -m)" = x86_64 ] || cannot "made for x86-64"
    [ -d "$root" ] || build
    own="--mount --pid --net --uts --ipc --fork --kill-child"
    # shellcheck disable=SC2086  # the list is meant to be split
    unshare $own true 2>/dev/null || cannot "this machine allows no namespaces of our own"
    # shellcheck disable=SC2086
    exec unshare $own "$0" --inside "$@"
    ;;
esac
