# try SECONDS   load RULES; unless `keep` comes in time, what was there before comes back
# keep          what was tried stays, also after a boot
# look          only say whether RULES are another set
# Prints CHANGED when the rules are not those that are kept and loaded.
set -eu
file=/etc/nftables.conf
tried=/run/knowledge-assistant/firewall.nft
before=/run/knowledge-assistant/firewall-before.nft
timer=knowledge-assistant-firewall-back
table="inet knowledge_assistant"

case $1 in
  try | look)
    if [ "$(cat "$file")" = "$RULES" ] && systemctl is-active --quiet nftables \
      && nft list table $table > /dev/null 2>&1; then exit 0; fi
    echo CHANGED
    [ "$1" = try ] || exit 0
    mkdir -p "${tried%/*}"
    printf '%s\n' "$RULES" > "$tried"
    nft --check --file "$tried" || { echo "These rules are wrong; the old ones stay." >&2; exit 1; }
    {
      echo "table $table"
      echo "delete table $table"
      nft list table $table 2> /dev/null || :
    } > "$before"
    systemctl stop "$timer.timer" 2> /dev/null || :
    systemd-run --quiet --collect --unit="$timer" --on-active="$2" nft --file "$before"
    nft --file "$tried"
    ;;
  keep)
    systemctl stop "$timer.timer" || {
      echo "It took too long: the old rules are back. Try again, with more firewall_seconds." >&2
      exit 1
    }
    cp "$tried" "$file.new"
    mv "$file.new" "$file"
    systemctl --quiet enable nftables
    systemctl restart nftables
    ;;
esac
