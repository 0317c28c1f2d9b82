# bash completion for block-drbd(8).

_block_drbd() {
  local word=$2 candidates
  case ${COMP_CWORD}:${COMP_WORDS[1]} in
  1:*) candidates='test keep --help --version' ;;
  2:keep) candidates=$(drbdadm sh-resources 2>/dev/null) ;;
  *:test)
    if [[ $word == -* ]]; then
      candidates=$("$1" test --help 2>/dev/null | sed -n '/^Options of test/,/^$/s/.*\(--[a-z]*\).*/\1/p')
    else
      candidates="$(drbdadm sh-resources 2>/dev/null) $(compgen -G '/etc/xen/*.cfg')"
    fi
    ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$word")
}

complete -F _block_drbd block-drbd
