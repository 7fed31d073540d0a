# Runs one command and writes down how it ended. $1: the control folder.
# A signal to the group is for the command; this shell stays to see the end of it.
trap : HUP INT TERM
IFS= read -r stat < "/proc/$$/stat"
# Whoever creates the file first runs the command; there is never a second run.
(set -C; printf '%s\n' "$stat" > "$1/pid") 2> /dev/null || exit 0

# The watchdog: ends the group when the lease is over. The file says at which second of the
# machine's uptime that is, and is replaced when the lease is renewed.
watch() {
    trap '' HUP INT TERM
    sleeper=
    trap '[ -z "$sleeper" ] || kill -KILL "$sleeper"; exit 0' USR1
    while IFS= read -r end < "$1/lease"; do
        read -r up _ < /proc/uptime
        left=$((end - ${up%%.*}))
        [ "$left" -gt 0 ] || break
        [ "$left" -lt 15 ] || left=15
        sleep "$left" &
        sleeper=$!
        wait "$sleeper"
        sleeper=
    done
    [ ! -e "$1/exit" ] || exit 0
    : > "$1/expired"
    kill -TERM "-$$"
    sleep 5
    kill -KILL "-$$"
}
[ ! -e "$1/lease" ] || watch "$1" > /dev/null 2>&1 &
watchdog=$!

/bin/sh "$1/command" < /dev/null
code=$?
printf '%s\n' "$code" > "$1/exit.new" && mv -f "$1/exit.new" "$1/exit"
kill -USR1 "$watchdog" 2> /dev/null
