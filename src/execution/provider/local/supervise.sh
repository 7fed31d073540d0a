# Runs one command and writes down how it ended. $1: the control folder; $2: the most bytes of its log, 0 for any
# number. The log is this shell's output. `keep_log.sh` comes before this.
# A signal to the group is for the command; this shell stays to see the end of it.
trap : HUP INT TERM
# What is written down here is for the user alone; what the command writes is as the user wants it.
mask=$(umask)
umask 077
IFS= read -r stat < "/proc/$$/stat"
# Whoever creates the file first runs the command; there is never a second run.
(set -C; printf '%s\n' "$stat" > "$1/pid") 2> /dev/null || exit 0

# Which comes first, the end of the command or that of its lease, is decided by who creates this file.
claim() { (set -C; : > "$1/over") 2> /dev/null; }

# The watchdog: ends the group when the lease is over. The file says at which second of the machine's uptime that is,
# and is replaced when the lease is renewed. A command can write there, too: what is no number changes nothing, and
# sky ends a command that outlives the lease that sky knows of.
number() { case $1 in '' | *[!0-9]* | ??????????*) return 1 ;; esac }
watch() {
    trap '' HUP INT TERM
    sleeper=
    trap '[ -z "$sleeper" ] || kill -KILL "$sleeper"; exit 0' USR1
    end=0
    while :; do
        # shellcheck disable=SC2015 # what cannot be read changes nothing
        read -r next 2> /dev/null < "$1/lease" && number "$next" && end=$next || :
        read -r up _ < /proc/uptime
        left=$((end - ${up%%.*}))
        [ "$left" -gt 0 ] || break
        [ "$left" -lt 15 ] || left=15
        sleep "$left" &
        sleeper=$!
        wait "$sleeper"
        sleeper=
    done
    claim "$1" || exit 0
    : > "$1/expired"
    kill -TERM "-$$"
    sleep 5
    kill -KILL "-$$"
}
watchdog=
[ ! -e "$1/lease" ] || {
    watch "$1" > /dev/null 2>&1 &
    watchdog=$!
}

begin_log "$1" "${2:-0}"
(umask "$mask" && exec /bin/sh "$1/command") < /dev/null >&3 2>&3 3>&-
code=$?
ours=
! claim "$1" || ours=1
[ -z "$watchdog" ] || kill -USR1 "$watchdog" 2> /dev/null
end_log
[ -n "$ours" ] || exit 0
printf '%s\n' "$code" > "$1/exit.new" && mv -f "$1/exit.new" "$1/exit"
