# Sourced by the scripts that tell a story in the lab (demo, article): what is typed on the nodes and
# what is to be seen there. Whatever is not as it is told ends the story.
# shellcheck shell=bash

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
tell() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
not_so() { printf '\nThis is not as it should be: %s\n' "$*" >&2; exit 1; }
on() { tests/lab/on "$@"; }

# typed NODE COMMAND - as at that node's prompt.
typed() {
  local output status=0
  printf '  %snode%s# %s%s\n' "$bold" "$1" "$2" "$plain"
  output=$(on "$1" "$2" 2>&1) || status=$?
  [[ -z $output ]] || sed 's/^/    /' <<<"$output"
  ((status == 0)) || not_so "node$1 answered with exit status $status"
}

role() { on "$1" "drbdsetup status $2" | sed -n "s/^$2 role://p"; }

# roles RESOURCE NODE1 NODE2 - shows both roles; they must be, or within a minute become, these.
roles() {
  local first second until=$((SECONDS + 60))
  while first=$(role 1 "$1") second=$(role 2 "$1") && [[ "$first $second" != "$2 $3" ]] &&
    ((SECONDS < until)); do
    sleep 1
  done
  printf '  DRBD resource %s:   node1 %s%-9s%s   node2 %s%-9s%s\n' \
    "$1" "$bold" "$first" "$plain" "$bold" "$second" "$plain"
  [[ "$first $second" == "$2 $3" ]] || not_so "the roles should be $2 on node1, $3 on node2"
}

console() { on "$1" "cat /var/log/xen/console/guest-$2{--incoming,}.log 2>/dev/null || true" | tr -d '\r'; }

# records NODE GUEST COUNT - waits until the guest has reported so many records there, shows the last.
records() {
  local until=$((SECONDS + 180)) lines
  while lines=$(console "$1" "$2" | grep -E '^(record [0-9]+ ok|RECORD)') || true
    [[ $lines != *RECORD* ]] && (($(grep -c . <<<"$lines") < $3)) && ((SECONDS < until)); do
    sleep 1
  done
  tail -n "$3" <<<"$lines" | sed "s/^/  guest on node$1:   /"
  [[ $lines != *RECORD* ]] || not_so "the guest lost a record"
  (($(grep -c . <<<"$lines") >= $3)) || not_so "the guest does not write"
}

# begin - installs, builds, and starts two fresh nodes, which stop when the story ends.
begin() {
  tests/install
  tell "Building block-drbd"
  cmake --preset release -DBUILD_TESTING=ON >/dev/null
  cmake --build --preset release
  local program=$PWD/build/release/block-drbd/block-drbd

  tell "Starting two Xen hosts, node1 and node2, in software emulation"
  trap 'tests/lab/down' EXIT
  tests/lab/up
  LAB_PROGRAM=$program tests/lab/pristine
  [[ $(on 1 'sha256sum </etc/xen/scripts/block-drbd') == $(sha256sum <"$program") ]] ||
    not_so "node1 has another block-drbd than the one just built"
}

# same_chain DISK - what the guest wrote is on that disk of both nodes, in one unbroken chain.
same_chain() {
  typed 1 "/lab/recorder check $1"
  typed 2 "/lab/recorder check $1"
  [[ $(on 1 "/lab/recorder check $1") == $(on 2 "/lab/recorder check $1") ]] || not_so "the disks differ"
}

# finish - what the program has said meanwhile.
finish() {
  tell "block-drbd's lines in the system logs"
  for node in 1 2; do on "$node" "grep block-drbd /var/log/messages" | sed "s/^/  /" || true; done
  tell "All as told, after $((SECONDS / 60)) min $((SECONDS % 60)) s."
}
