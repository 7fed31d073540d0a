# Waits for the cloud's word that it takes this machine away, and writes down in $1/sky/leaving at which second of the
# machine's uptime that will be; sky's hand on the machine reads it. `ask`, which comes before this, is the cloud's own:
# it says in how many seconds, or nothing; it fails if it does not know. `pause` is the time between two questions.
# Runs as the user of the commands, to whom the folder belongs: whoever forges a notice ends his own stage.

# The seconds from now to a moment, as `date` reads it; the second argument if it does not.
seconds_to() {
    left=$2
    if [ -n "$1" ] && end=$(date -u -d "$1" +%s 2> /dev/null); then
        left=$((end - $(date -u +%s)))
        [ "$left" -ge 0 ] || left=0
    fi
    echo "$left"
}

leaving=$1/sky/leaving
# Of an earlier boot.
rm -f "$leaving"
while :; do
    if left=$(ask); then
        case $left in
            '') rm -f "$leaving" ;;
            *[!0-9]* | ??????????*) ;;
            *)
                read -r up _ < /proc/uptime
                end=$((${up%%.*} + left))
                known=
                [ ! -s "$leaving" ] || IFS= read -r known < "$leaving"
                # What is said without a time means the first time that it was said.
                if [ -z "$known" ] || [ "$end" -lt "$known" ]; then
                    mkdir -p -m 700 "$1/sky"
                    printf '%s\n' "$end" > "$leaving.new" && mv -f "$leaving.new" "$leaving"
                fi
                ;;
        esac
    fi
    sleep "$pause"
done
