# Sourced by the scripts of the lab: where things are, and the few functions they share.
# shellcheck shell=bash disable=SC2034

# modprobe, sfdisk and mke2fs are no commands of everybody everywhere.
PATH=$PATH:/usr/sbin:/sbin

lab_source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
lab_checkout=$(cd -- "$lab_source/../.." && pwd)

# Everything that a running lab writes.
lab_build=$(realpath -m -- "${LAB_BUILD:-$lab_checkout/build/lab}")
# Node images, by content; shared by all checkouts of this user.
lab_cache=${XDG_CACHE_HOME:-$HOME/.cache}/block-drbd-lab
# The lab's own compiled programs (agent, at-call, recorder), where CMake leaves them.
lab_programs=${LAB_PROGRAMS:-$lab_checkout/build/release/tests/lab}
# The Debian release of the nodes.
lab_suite=${LAB_SUITE:-bookworm}

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need COMMAND... - every one of them must be there.
need() {
  local command missing=()
  for command; do command -v "$command" >/dev/null || missing+=("$command"); done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]} (tests/run installs what is missing)"
}

# The process id of node N's QEMU, if it runs. A stale file never names somebody else's process:
# the command line must be that of a node of this very lab.
qemu_pid() {
  local pid file=$lab_build/node$1/pid
  [[ -s $file ]] || return 1
  pid=$(<"$file")
  [[ -r /proc/$pid/cwd && $(readlink "/proc/$pid/cwd") == "$lab_build/node$1" ]] || return 1
  grep -qa -- "guest=node$1" "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}
