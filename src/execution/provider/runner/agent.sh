# sky's hand on the machine: reads requests from its input and answers on its output, until the
# input ends. Needs a POSIX shell, coreutils, grep, sed, tar, setsid, flock and /proc.
#
# A request is a line with its name and the number of its arguments. An argument is a line with the
# number of its lines, and these. So nothing that people write is ever part of a command: it is only
# ever the value of a variable. Content follows a request, or an answer's lines, in pieces: a line
# with the number of bytes (an answer's begins with `@`), and these; 0 ends it.
#
# An answer: lines that begin with `+`, content, then `.`, or `!KIND` and what is wrong.
#
# root/machines/TOKEN/tags       who that is, as one line of JSON
# root/machines/TOKEN/lease_end  the end of its lease, for people and for `list`
# root/machines/TOKEN/work/      the working folder of its command, which may do in it what it likes
# root/machines/TOKEN/box/       what sky keeps of it, as the provider `local` does
# root/machines/TOKEN/box/.run/boot  the boot that the seconds of `.run/lease` belong to
#
# root/leaving                   the second of the uptime at which the machine is taken away, if its cloud has said so
#
# Locks are on folders, and end with whoever holds them: descriptor 9 is that of the root, for what
# counts or removes machines; 8 that of a machine's `.run`, for what starts, fills or empties it.

requests="create find list renew challenge prove adopt release fill start look log log_length signal progress written output"
tools="setsid flock tar dd grep sed tail head wc tr cat mv rm cp mkdir chmod"
# What is to be settled with the first request, of an agent that wants more than the root.
settle() { :; }

say() { printf '+%s\n' "$1"; }
# Ends a request: the rest of its content is read and forgotten.
fail() {
    [ -z "$content" ] || receive > /dev/null
    printf '!%s %s\n' "$1" "$2"
    exit 1
}
broken() { fail Other "${1:-something is wrong on the machine}"; }
words() { tr '\n\r' '  ' | tail -c 300; }

# Copies the content that follows a request to the output. It is read to its end in any case.
receive() {
    while IFS= read -r size && [ "$size" -gt 0 ]; do
        dd bs="$size" count=1 iflag=fullblock 2> /dev/null
    done
}
# Answers with the input as content. A piece has to be counted before it is sent.
send() {
    while dd bs=1048576 count=1 iflag=fullblock of="$1" 2> /dev/null && [ -s "$1" ]; do
        printf '@%s\n' "$(wc -c < "$1" | tr -d ' ')"
        cat "$1"
    done
    rm -f "$1"
}
# The first line of a file, if it has one.
first() {
    line=
    IFS= read -r line 2> /dev/null < "$1" || [ -n "$line" ]
}
# Removes a folder, even if a command has taken away the right to.
scrub() { rm -rf "$1" 2> /dev/null || { chmod -R u+rwx "$1" && rm -rf "$1"; } 2> /dev/null || broken "$1 cannot be removed"; }
pause() { sleep 0.02 2> /dev/null || sleep 1; }
put() { printf '%s\n' "$2" > "$1.new" && mv -f "$1.new" "$1"; }

uptime() {
    read -r now _ < /proc/uptime
    now=${now%%.*}
}
boot() { read -r boot < /proc/sys/kernel/random/boot_id; }
# The first line of a /proc/PID/stat. The name of the command may hold anything but is before the
# last parenthesis.
parse() {
    pid=${1%% *}
    # shellcheck disable=SC2086 # fields are words
    set -- ${1##*)}
    state=$1 group=$3 session=$4 begun=${20}
}

# Turns to the machine of a token; `$there` is empty if there is none.
turn() {
    token=$1
    case $token in '' | *[!0-9a-f]*) fail Other "this is no token" ;; esac
    machine=$root/machines/$token
    box=$machine/box
    work=$machine/work
    run=$box/.run
    there=
    [ ! -d "$run" ] || there=1
}
needed() {
    turn "$1"
    [ -n "$there" ] || fail NotFound "the machine is gone"
}
same_boot() {
    boot
    first "$run/boot" && [ "$line" = "$boot" ]
}
lease_is_over() {
    uptime
    ! first "$run/lease" || [ "$now" -ge "$line" ]
}
# Whether the supervisor lives.
supervised() {
    same_boot && first "$run/pid" || return 1
    parse "$line"
    then=$begun
    first "/proc/$pid/stat" || return 1
    parse "$line"
    [ "$begun" = "$then" ] && [ "$state" != Z ] && [ "$state" != X ]
}
# Whether the supervisor is between its claim and its first word.
claimed() {
    [ ! -s "$run/pid" ] && find_left && [ -n "$left" ]
}
# Whether the machine takes up a place of the host's.
held() {
    [ ! -e "$run/released" ] && same_boot || return 1
    lease_is_over || return 0
    [ ! -e "$run/exit" ] && supervised
}
# Whether something may be begun on the machine.
usable() {
    [ -d "$run" ] || fail NotFound "the machine is gone"
    [ ! -e "$run/released" ] || fail NotFound "the machine was given back"
    same_boot || fail NotFound "the host was started anew since"
    ! lease_is_over || fail NotFound "its lease is over"
}

# Whether the command was started. A former sky may have got further than it knew.
begun() {
    if [ -e "$run/command" ]; then
        [ -e "$run/pid" ] || kill_all
    fi
    [ -e "$run/pid" ]
}

# Finds live processes of the machine: those that carry its token, and all of the supervisor's
# session, if its number certainly means it still. `$left` has PID:GROUP of each.
find_left() {
    left= leader=
    known=
    if same_boot && first "$run/pid"; then
        parse "$line"
        known=$pid then=$begun
        if first "/proc/$known/stat"; then
            parse "$line"
            [ "$begun" != "$then" ] || leader=$known
        fi
    fi
    for file in $(LC_ALL=C grep -lzxF -e "SKY_TOKEN=$token" /proc/[0-9]*/environ 2> /dev/null); do
        first "${file%environ}stat" || continue
        parse "$line"
        case $state in Z | X) continue ;; esac
        left="$left $pid:$group"
        # The supervisor may be gone, and others of its session not.
        [ "$session" != "$known" ] || leader=$known
    done
    [ -n "$leader" ] || return 0
    # shellcheck disable=SC2013 # numbers are words
    for process in $(cat /proc/[0-9]*/stat 2> /dev/null |
        LC_ALL=C sed -n "s/^\([0-9]*\) (.*) [^ZX] [0-9]* \([0-9]*\) $leader .*/\1:\2/p"); do
        case " $left " in *" $process "*) ;; *) left="$left $process" ;; esac
    done
}
# Signals all that is left: the group at once, so that none outruns it, then what is outside of it.
signal() {
    find_left
    [ -z "$leader" ] || kill "-$1" "-$leader" 2> /dev/null
    for process in $left; do
        [ "$1" = TERM ] && [ "${process#*:}" = "$leader" ] || kill "-$1" "${process%%:*}" 2> /dev/null
    done
    return 0
}
# Kills until nothing is left.
kill_all() {
    tries=0
    while signal KILL && [ -n "$left" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 250 ] || fail Other "processes$left do not end, even by SIGKILL"
        pause
    done
}
lock_root() {
    exec 9< "$root" || broken "$root cannot be opened"
    flock 9 || broken "$root cannot be locked"
}
lock_machine() {
    exec 8< "$run" || fail NotFound "the machine is gone"
    flock 8 || broken "$run cannot be locked"
}

# Whether the lease is over by the clock that the machine is ended by: 1, 0, or - if there is no such clock any more.
lease_state() {
    over=-
    same_boot || return 0
    over=0
    ! lease_is_over || over=1
}
# Two flags (it has ended, its lease is over), the token, the end of the lease, the tags. Tags that cannot be read do
# not hide the machine: whoever asks says so of this one and goes on with the others.
describe() {
    first "$machine/tags" || line=
    tags=$line
    first "$machine/lease_end" || line=
    end=$line
    ended=0
    [ ! -e "$run/released" ] || ended=1
    lease_state
    say "$ended$over $token $end $tags"
}

# root ROOT: where everything of sky's lies; relative to the home folder.
request_root() {
    settle "$@"
    case $1 in
        /*) root=$1 ;;
        '~/'*) root=$PWD/${1#'~/'} ;;
        *) root=$PWD/$1 ;;
    esac
    missing=
    for tool in $tools; do
        command -v "$tool" > /dev/null 2>&1 || missing="$missing $tool"
    done
    if [ -n "$missing" ]; then
        printf '!Other the host lacks%s\n' "$missing"
    elif [ ! -r /proc/self/stat ] || [ ! -r /proc/uptime ]; then
        printf '!Other the host has no /proc: it must run Linux\n'
    else
        printf '+%s\n.\n' "$root"
    fi
}

# create TOKEN TAGS LEASE LEASE_END SLOTS
request_create() {
    turn "$1"
    (umask 077 && mkdir -p "$root") 2> /dev/null || broken "$root cannot be created"
    lock_root
    if [ -d "$run" ] && [ ! -e "$run/released" ]; then
        describe
        return
    fi
    held=0
    for machine in "$root"/machines/*; do
        [ -d "$machine" ] || continue
        box=$machine/box run=$machine/box/.run
        ! held || held=$((held + 1))
    done
    [ "$held" -lt "$5" ] || fail Stockout "taken by $held machines, of $5 at a time"
    turn "$1"
    building=$root/machines/.new
    # What is left of a former one, or of one that was not finished.
    scrub "$building"
    scrub "$machine"
    boot
    uptime
    new=$building/box/.run
    { mkdir -p "$new" "$building/box/inputs" "$building/box/outputs" "$building/box/checkpoint" "$building/work" &&
        put "$new/boot" "$boot" && put "$new/lease" "$((now + $3))" &&
        put "$building/tags" "$2" && put "$building/lease_end" "$4" &&
        mv "$building" "$machine"; } 2> /dev/null || broken "$machine cannot be created: is the disk full, or is $root not ours?"
    describe
}

# find TOKEN
request_find() {
    turn "$1"
    [ -z "$there" ] || describe
}

# list
request_list() {
    for machine in "$root"/machines/*; do
        [ -d "$machine/box/.run" ] || continue
        # What has another name than a token was put there by somebody else.
        case ${machine##*/} in *[!0-9a-f]*) continue ;; esac
        turn "${machine##*/}"
        describe
    done
}

# renew TOKEN LEASE LEASE_END
request_renew() {
    needed "$1"
    lock_root
    [ -d "$run" ] || fail NotFound "the machine is gone"
    # What has ended can be looked after for longer; what is over takes no place that is another's.
    [ -e "$run/exit" ] && [ ! -e "$run/expired" ] || held || fail NotFound "its lease is over"
    uptime
    { put "$run/lease" "$((now + $2))" && put "$machine/lease_end" "$3"; } || broken "$run/lease cannot be written"
}

# challenge TOKEN: the word that a longer lease has to be signed with, if the machine's watchdog wants one.
request_challenge() {
    needed "$1"
    ! first /run/sky/challenge || say "$line"
}

# prove TOKEN MESSAGE SIGNATURE: hands it to the watchdog.
request_prove() {
    needed "$1"
    { put "$run/renewal.sig" "$3" && put "$run/renewal" "$2"; } || broken "$run/renewal cannot be written"
}

# adopt TOKEN TAGS
request_adopt() {
    needed "$1"
    put "$machine/tags" "$2" || broken "$machine/tags cannot be written"
    describe
}

# release TOKEN keep|drop: ends all of it for good.
request_release() {
    turn "$1"
    if [ -z "$there" ]; then
        kill_all
        return
    fi
    lock_machine
    kill_all
    [ -d "$run" ] || return 0
    # From here on, numbers of its processes may become others'. A full disk is no reason to keep
    # what follows.
    : 2> /dev/null > "$run/released"
    [ "$2" = drop ] || return 0
    [ -d "$root" ] || return 0
    lock_root
    scrub "$machine"
    rmdir "$root/machines" 2> /dev/null
    return 0
}

# fill TOKEN, then an archive with `inputs`, `files` and, if there is progress, `checkpoint`.
request_fill() {
    content=1
    needed "$1"
    usable
    laid=$run/laid.$$
    mkdir "$laid" || broken "$laid cannot be created"
    # Whatever becomes of the archive, the content is read to its end.
    said=$(receive | {
        tar -xof - -C "$laid" 2>&1 && echo laid
        cat > /dev/null
    })
    content=
    case $said in
        laid | *"
laid") ;;
        *)
            rm -rf "$laid"
            broken "inputs cannot be laid out: $(printf %s "$said" | words)"
            ;;
    esac
    lock_machine
    if begun; then
        rm -rf "$laid"
        return
    fi
    usable
    { scrub "$box/inputs" && mv "$laid/inputs" "$box/inputs" &&
        { [ ! -d "$laid/checkpoint" ] || { scrub "$box/checkpoint" && mv "$laid/checkpoint" "$box/checkpoint"; }; }; } ||
        broken "inputs cannot be laid out"
    { scrub "$work" && mv "$laid/files" "$work"; } || broken "files cannot be laid out"
    rm -rf "$laid"
}

# Takes all variables out of the environment but the base set and those that match one of the arguments: a command sees
# what its job declares, and not what somebody's session on the machine has set.
keep_base_variables() {
    for name in $(env | LC_ALL=C sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
        case $name in
            PATH | HOME | USER | LOGNAME | SHELL | TERM | TZ | TMPDIR | LANG | LC_* | SHELLOPTS | BASHOPTS) ;;
            *)
                for pattern in "$@"; do
                    # shellcheck disable=SC2254 # it is a pattern
                    case $name in $pattern) continue 2 ;; esac
                done
                command unset "$name" 2> /dev/null
                ;;
        esac
    done
    return 0
}

# start TOKEN COMMAND SUPERVISOR base|own LOG_LIMIT NAME VALUE NAME VALUE...: nothing if it was ever started. `base`: of the
# machine's own environment, the command gets the base set alone; `own`: all of it, since that is part of what was asked
# for, as with a container's image.
request_start() {
    needed "$1"
    lock_machine
    [ ! -e "$run/pid" ] || return 0
    usable
    # What was fetched is laid out.
    rm -rf "$run/got"
    printf %s "$2" > "$run/command" || broken "$run/command cannot be written"
    supervisor=$3 environment=$4 log_limit=$5
    shift 5
    mkdir -p "$work" || broken "$work cannot be created"
    # Nobody but the user may read what commands print.
    (umask 077 && : >> "$box/log") || broken "$box/log cannot be written"
    # Only what becomes the supervisor ever has these in its environment.
    (
        unset SSH_CLIENT SSH_CONNECTION SSH_TTY SSH_ORIGINAL_COMMAND OLDPWD
        [ "$environment" = own ] || keep_base_variables
        cd "$work" || exit 1
        while [ "$#" -gt 1 ]; do
            export "$1=$2"
            shift 2
        done
        export "SKY_INPUTS=$box/inputs" "SKY_OUTPUTS=$box/outputs" "SKY_CHECKPOINT=$box/checkpoint" "SKY_TOKEN=$token"
        exec setsid /bin/sh -c "$supervisor" sky-stage "$run" "$log_limit" < /dev/null >> "$box/log" 2>&1 8<&-
    ) &
    # Not started until it says so: else a look could come before the claim.
    tries=0
    until [ -s "$run/pid" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 500 ] || fail Unreachable "the command did not begin; see $box/log"
        pause
    done
}

# Says in how many seconds the machine is taken away, if that is known.
leaving() {
    first "$root/leaving" || return 1
    case $line in '' | *[!0-9]* | ??????????*) return 1 ;; esac
    uptime
    left=$((line - now))
    [ "$left" -gt 0 ] || left=0
    say "leaving $left"
}

# look TOKEN
request_look() {
    needed "$1"
    expired=
    [ ! -e "$run/expired" ] || expired=1
    if first "$run/exit"; then
        code=$line
        case $code in '' | *[!0-9]*) broken "$run/exit holds no exit code" ;; esac
        if [ -n "$expired" ]; then say expired; else say "exited $code"; fi
        return
    fi
    if [ ! -e "$run/pid" ]; then
        say waiting
    elif supervised || claimed; then
        leaving || say running
    elif [ -e "$run/expired" ]; then
        say expired
    # It may have ended between the two looks.
    elif first "$run/exit"; then
        say "exited $line"
    else
        say lost
    fi
}

# log TOKEN OFFSET MOST
request_log() {
    needed "$1"
    [ -s "$box/log" ] || return 0
    size=$(($(wc -c < "$box/log") - $2))
    [ "$size" -gt 0 ] || return 0
    [ "$size" -lt "$3" ] || size=$3
    printf '@%s\n' "$size"
    tail -c "+$(($2 + 1))" "$box/log" 2> /dev/null | head -c "$size"
}

# log_length TOKEN
request_log_length() {
    needed "$1"
    if [ -e "$box/log" ]; then say "$(wc -c < "$box/log" | tr -d ' ')"; else say 0; fi
}

# signal TOKEN TERM|KILL|0: says what is left.
request_signal() {
    needed "$1"
    case $2 in
        TERM) signal TERM ;;
        KILL) kill_all ;;
        *) find_left ;;
    esac
    say "$left"
}

# progress TOKEN: what is complete in its checkpoint folder, as an archive; nothing if there is none.
request_progress() {
    needed "$1"
    copy=$run/checkpoint.$$
    mkdir "$copy" || broken "$copy cannot be created"
    some=
    for file in "$box"/checkpoint/*; do
        case $file in *.tmp) continue ;; esac
        [ -e "$file" ] || [ -L "$file" ] || continue
        # A copy, so that what is read is of one time.
        cp -R -P "$file" "$copy/" 2> /dev/null || { rm -rf "$copy" && broken "$file cannot be read"; }
        some=1
    done
    if [ -n "$some" ]; then
        resolve_links "$copy"
        say archive
        archive "$copy" || { rm -rf "$copy" && broken "$copy cannot be read"; }
    fi
    rm -rf "$copy"
}

# Links below a folder that lead out of it are replaced by what they lead to: the folder is going elsewhere. Those that
# stay inside remain links. What cannot be replaced is in `$said`.
resolve_links() {
    said=$(cd "$1" && find . -type l -exec /bin/sh -c '
        for link do
            target=$(readlink "$link"; echo .)
            target=${target%??}
            case $target in
                /*) ;;
                *)
                    rest=${link#./} depth=0
                    while case $rest in */*) ;; *) false ;; esac do
                        depth=$((depth + 1))
                        rest=${rest#*/}
                    done
                    rest=$target/
                    while [ -n "$rest" ] && [ "$depth" -ge 0 ]; do
                        case ${rest%%/*} in
                            "" | .) ;;
                            ..) depth=$((depth - 1)) ;;
                            *) depth=$((depth + 1)) ;;
                        esac
                        rest=${rest#*/}
                    done
                    [ "$depth" -lt 0 ] || continue
                    ;;
            esac
            rm -rf "$1"
            if { [ -f "$link" ] || [ -d "$link" ]; } && cp -R -L -p "$link" "$1" 2> /dev/null; then
                rm -f "$link" && mv "$1" "$link" && continue
            fi
            rm -rf "$1"
            printf "%s is a symbolic link to %s, outside of the artifact, where nothing is that could be copied" \
                "${link#./}" "$target"
            exit 1
        done' sh "$run/resolved.$$" {} + 2> /dev/null)
}
# Seconds since 1970, with as much of a fraction as the machine's `stat` knows; none: it knows nothing.
time_of() {
    time=$(stat -c %.9Y "$1" 2> /dev/null) || time=$(stat -c %Y "$1" 2> /dev/null) || time=
    case $time in *[!0-9.]* | '') time= ;; *) time=" $time" ;; esac
}
# How a folder is put into an archive: times to the nanosecond, where `tar` can write them.
exact_times() {
    exact='--format=posix --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f'
    # shellcheck disable=SC2086 # these are words
    tar $exact --version > /dev/null 2>&1 || exact=
}

# Sends a folder; whether all of it could be read.
archive() {
    exact_times
    # shellcheck disable=SC2086 # these are words
    { tar -cf - $exact -C "$1" . 2> /dev/null || : > "$run/torn.$$"; } | send "$run/part.$$"
    [ ! -e "$run/torn.$$" ] || {
        rm -f "$run/torn.$$"
        return 1
    }
}

# written TOKEN: what is in its outputs, as content: kind, size, name, NUL of each. Nothing where `find` cannot say it.
request_written() {
    needed "$1"
    list=$run/written.$$
    (cd "$box/outputs" && find . -mindepth 1 -printf '%y %s %P\0') > "$list" 2> /dev/null || : > "$list"
    [ ! -s "$list" ] || send "$run/part.$$" < "$list"
    rm -f "$list"
}

# output TOKEN NAME [lenient]: `missing`; `file` or `program`, and its bytes; `archive`, and that.
request_output() {
    needed "$1"
    output=$box/outputs/$2
    if [ ! -e "$output" ]; then
        say missing
    elif [ -d "$output" ]; then
        resolve_links "$output/"
        [ -z "$said" ] || [ -n "$3" ] || fail Output "$(printf %s "output $2: $said" | words)"
        special=$(find "$output/" ! -type f ! -type d ! -type l 2> /dev/null | head -n 1)
        [ -z "$special" ] || fail Output "$(printf %s "output $2: ${special#"$output/"} is a pipe, a socket or a device: \
only files, directories and links are data" | words)"
        say archive
        archive "$output/" || broken "output $2 cannot be read"
    elif [ -f "$output" ]; then
        time_of "$output"
        if [ -x "$output" ]; then say "program$time"; else say "file$time"; fi
        send "$run/part.$$" < "$output"
    else
        fail Output "output $2 is a pipe, a socket or a device: only files, directories and links are data"
    fi
}
