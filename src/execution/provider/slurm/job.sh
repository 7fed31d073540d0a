#!/bin/sh
# sky's hand in a job of Slurm: waits for the command, runs it, and writes down how it ended; ends
# the job when its lease is over. $1: the machine's folder. `slurm.sh` says which file is what.
# A signal to the job is for the command; this shell stays to see the end of it. One of TERM may mean
# that Slurm takes the job away: what the command says when it ends is then not how it would have ended.
signalled=
trap : HUP INT
trap 'signalled=1' TERM
run=$1/.run
token=${1%/box}
token=${token##*/}
exec < /dev/null >> "$run/slurm.log" 2>&1
pause() { sleep "$1" || sleep 1; }

# Whichever job begins first has the machine, for good.
(set -C; printf '%s\n' "$SLURM_JOB_ID" > "$run/claim") 2> /dev/null || {
    IFS= read -r claimed < "$run/claim"
    [ "$claimed" = "$SLURM_JOB_ID" ] || exit 0
    # Slurm has begun this one anew. There is never a second run of the command.
    [ ! -e "$run/pid" ] || {
        [ -e "$run/exit" ] || : > "$run/requeued"
        exit 0
    }
}

# What is left of the lease, in seconds. A new one counts from the time on when it was written, by the
# clock of whoever keeps the folder; from then on counts the machine's own time.
known='' end=0
see_lease() {
    IFS=' ' read -r number seconds < "$run/grant" || number=$known
    read -r up _ < /proc/uptime
    if [ "$number" != "$known" ]; then
        touch "$run/.clock.job"
        age=$(($(stat -c %Y "$run/.clock.job") - $(stat -c %Y "$run/grant")))
        end=$((${up%%.*} + seconds - age))
        known=$number
    fi
    left=$((end - ${up%%.*}))
}
watch() {
    trap '' HUP INT TERM
    sleeper=
    trap '[ -z "$sleeper" ] || kill -KILL "$sleeper"; exit 0' USR1
    while [ -d "$run" ]; do
        see_lease
        [ "$left" -gt 0 ] || break
        [ "$left" -lt 5 ] || left=5
        sleep "$left" &
        sleeper=$!
        wait "$sleeper"
        sleeper=
    done
    [ ! -e "$run/exit" ] || exit 0
    : > "$run/expired"
    kill -TERM "-$$"
    sleep 5
    kill -KILL "-$$"
}
see_lease
if [ "$left" -le 0 ]; then
    # It was too long in the queue.
    : > "$run/expired"
    exit 1
fi
watch &
watchdog=$!

# Exports what comes as `pairs` writes it; whether all of it came.
take() {
    while IFS= read -r name && [ "$name" != . ]; do
        IFS= read -r lines && IFS= read -r value || return
        while [ "$lines" -gt 1 ]; do
            lines=$((lines - 1))
            IFS= read -r line || return
            value=$value$nl$line
        done
        export "$name=$value"
    done
    [ "$name" = . ]
}
nl='
'

tries=0
until [ -e "$run/start/command" ]; do
    [ -d "$run" ] && [ ! -e "$run/expired" ] || exit 1
    # A folder that changes is looked at anew over a network.
    touch "$run/.clock.job"
    tries=$((tries + 1))
    if [ "$tries" -lt 100 ]; then pause 0.1; else pause 1; fi
done
take < "$run/start/environment" || exit 1
export "SKY_INPUTS=$1/inputs" "SKY_OUTPUTS=$1/outputs" "SKY_CHECKPOINT=$1/checkpoint" "SKY_TOKEN=$token"
if [ -e "$run/start/secrets" ]; then
    # On the node itself: what goes through a pipe is on no disk.
    door=$(mktemp -d) && mkfifo -m 600 "$door/door" || exit 1
    printf '%s %s\n' "$SLURMD_NODENAME" "$door" > "$run/door.new" && mv -f "$run/door.new" "$run/door"
    until take < "$door/door"; do
        [ -d "$run" ] && [ ! -e "$run/expired" ] || break
        pause 0.1
    done
    rm -rf "$door"
    [ "$name" = . ] || exit 1
    : > "$run/handed"
fi

cd "${1%/box}/work" || exit 1
(set -C; printf '%s %s\n' "$SLURMD_NODENAME" "$$" > "$run/pid") 2> /dev/null || exit 0
begin_log "$run" "${SKY_LOG_LIMIT:-0}" >> "$1/log"
/bin/sh "$run/start/command" >&3 2>&3 3>&-
code=$?
end_log
end=exit
# At its limit Slurm signals the command and not this shell.
state=$(timeout 5 squeue -h -j "$SLURM_JOB_ID" -o %T) || state=
[ "${state:-RUNNING}" = RUNNING ] || signalled=1
[ -z "$signalled" ] || end=signalled
printf '%s\n' "$code" > "$run/exit.new" && mv -f "$run/exit.new" "$run/$end"
kill -USR1 "$watchdog" 2> /dev/null
exit "$code"
