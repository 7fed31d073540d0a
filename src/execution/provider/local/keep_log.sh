# The log of a command: what it prints goes through a pipe that keeps the beginning, up to a limit, and the last part of
# what follows. However much a command prints, its log ends.
#
# begin_log CONTROL LIMIT: from here on descriptor 3 is the log, which is the output of whoever calls this. LIMIT is in
# bytes, 0 for any number. CONTROL is a folder for what is on its way.
log_tail=65536
reader=
begin_log() {
    if [ "$2" -gt 0 ] && mkfifo -m 600 "$1/printed" 2> /dev/null; then
        keep_log "$1" "$2" < "$1/printed" 2> /dev/null &
        reader=$!
        exec 3> "$1/printed"
        rm -f "$1/printed"
    else
        exec 3>&1
    fi
}
# It stays when the command is asked to end, and ends with the last who can print. The limit is one of the kernel's, on
# the size of files that this `dd` writes: so every line is in the log at once, which `head -c` does not do.
keep_log() {
    trap '' HUP INT TERM XFSZ
    # shellcheck disable=SC3045 # every sh that is known has `ulimit -f`, in blocks of 512 bytes
    if (
        ulimit -f "$((($2 + 511) / 512))"
        exec dd bs=4096
    ) 2> /dev/null; then
        return
    fi
    printf '\n[sky: this log has reached its limit of %s bytes (SKY_LOG_LIMIT); of what follows only the last %s bytes are kept, and added when the command has ended]\n' "$2" "$log_tail"
    tail -c "$log_tail" > "$1/last"
    printf '[sky: the last bytes:]\n'
    cat "$1/last"
    rm -f "$1/last"
}
# end_log: when the command has ended, waits until all that it printed is in the log. What it has started may go on
# printing: that is not waited for.
end_log() {
    exec 3>&-
    [ -n "$reader" ] || return 0
    (
        trap '' HUP INT TERM
        trap 'kill -KILL "$!"; exit 0' USR1
        sleep 1 &
        wait "$!"
        kill -KILL "$reader"
    ) > /dev/null 2>&1 &
    impatience=$!
    exec 2> /dev/null
    # A signal to the group ends a wait early.
    while kill -0 "$reader"; do wait "$reader"; done
    kill -USR1 "$impatience"
}

