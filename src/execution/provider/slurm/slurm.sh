# What is different where a machine is a job of Slurm. The agent is on the login node, the command
# on a compute node, and both see the root, which is a shared folder:
#
# root/machines/TOKEN/job        `job.sh`, as it was given to sbatch
# box/.run/job                   the job's number
# box/.run/claim                 the number of the job that has begun, should there ever be two
# box/.run/grant                 a number that changes, and the seconds of the lease from the time on
#                                at which this file was written
# box/.run/start/                there as a whole or not at all: command, environment, and `secrets`
#                                if there are any to wait for
# box/.run/exit                  how the command ended; `signalled`: how it did after a signal to the
#                                job, which counts if Slurm has not ended the job itself
# box/.run/door                  where on which node the job waits for secrets; `handed`: it has them
# box/.run/state                 when Slurm was asked, and what it said
#
# A job is found by its name, which is made of the token, so a lost answer of sbatch loses no job.

requests="$requests hand"
tools="$tools id stat touch timeout sbatch squeue scancel scontrol srun"

# root ROOT CONF: the file that says which cluster it is; empty: the usual one.
settle() {
    [ -z "$2" ] || export SLURM_CONF="$2"
    unset SSH_CLIENT SSH_CONNECTION SSH_TTY SSH_ORIGINAL_COMMAND
    me=$(id -un)
}

# Ends a request with what Slurm has said.
refuse() {
    said=$(printf %s "${1:-it said nothing}" | words)
    case $said in
        *"contact slurm controller"* | *[Tt]"imed out"* | *"onnection refused"* | *"onnection failure"* | \
            *"Zero Bytes"* | *"Unable to establish"* | *"Munge encode failed"* | *"o route to host"*)
            kind=Unreachable
            ;;
        *"permission denied"* | *"ot permitted to use"* | *"Invalid user"* | *[Aa]"uthentication"* | *"User not found"*)
            kind=Denied
            ;;
        *[Aa]"ccount"* | *[Qq]"os "* | *QOS* | *[Ll]"imit"*) kind=Quota ;;
        *"artition"* | *"node configuration"* | *"gres"* | *"generic resource"* | *"ode count"* | *"feature"* | \
            *"not available"* | *"processors requested"* | *"can not be satisfied"*)
            kind=Stockout
            ;;
        *"temporarily"* | *"too many"* | *"rate limit"*) kind=Throttled ;;
        *) kind=Other ;;
    esac
    fail "$kind" "Slurm: $said"
}

# The job of the machine, if it is known; `$job` is empty if there is none.
known_job() {
    job=
    if first "$run/claim" || first "$run/job"; then
        job=$line
        return
    fi
    # Its number may be in an answer that never came.
    job=$(squeue -h -u "$me" -n "sky-$token" -o %i 2>&1) || refuse "$job"
    job=${job%%"$nl"*}
    [ -z "$job" ] || put "$run/job" "$job" || broken "$run/job cannot be written"
}

# What Slurm says of the job, in `$state`: not more often than every three seconds.
job_state() {
    state=
    uptime
    if IFS=' ' read -r then state 2> /dev/null < "$run/state" &&
        [ "$now" -ge "$then" ] && [ "$((now - then))" -lt 3 ]; then
        return
    fi
    known_job
    if [ -z "$job" ]; then
        state=NONE
        return
    fi
    state=$(squeue -h -t all -j "$job" -o %T 2>&1) || case $state in
        *"Invalid job id"*) state= ;;
        *) refuse "$state" ;;
    esac
    if [ -z "$state" ]; then
        # Forgotten, since it ended long ago; not where there is a data base.
        state=$(sacct -X -n -P -j "$job" -o State 2> /dev/null) || state=
        state=${state%%[ "$nl"]*}
    fi
    state=${state:-FORGOTTEN}
    put "$run/state" "$now $state" 2> /dev/null
    return 0
}
over() {
    case $state in
        COMPLETED | FAILED | CANCELLED | TIMEOUT | DEADLINE | PREEMPTED | NODE_FAIL | BOOT_FAIL | OUT_OF_MEMORY | \
            REVOKED | LAUNCH_FAILED | FORGOTTEN | NONE) ;;
        *) return 1 ;;
    esac
}

# Both times are by the clock of whoever keeps the folder, so nobody's own clock matters.
lease_is_over() {
    IFS=' ' read -r _ seconds 2> /dev/null < "$run/grant" && touch "$run/.clock" || return 0
    age=$(($(stat -c %Y "$run/.clock") - $(stat -c %Y "$run/grant")))
    [ "$age" -ge "$seconds" ]
}
lease_state() {
    over=0
    ! lease_is_over || over=1
}
usable() {
    [ -d "$run" ] || fail NotFound "the machine is gone"
    [ ! -e "$run/released" ] || fail NotFound "the machine was given back"
    job_state
    ! over || fail NotFound "its job ended before the command began: $state"
    ! lease_is_over || fail NotFound "its lease is over"
}
begun() { [ -d "$run/start" ]; }

find_left() {
    left=
    begun && [ ! -e "$run/exit" ] && [ ! -e "$run/signalled" ] || return 0
    job_state
    over || left=$job
}
signal() {
    known_job
    [ -z "$job" ] || scancel "--signal=$1" --full "$job" 2> /dev/null
    rm -f "$run/state"
    find_left
}
kill_all() {
    left= tries=0
    while :; do
        active=$(squeue -h -u "$me" -n "sky-$token" -o %i 2>&1) || refuse "$active"
        [ -n "$active" ] || break
        if [ "$((tries % 50))" -eq 0 ]; then
            # What runs is killed at once; what waits is only taken out of the queue.
            scancel -u "$me" -n "sky-$token" --signal=KILL --full 2> /dev/null
            said=$(scancel -u "$me" -n "sky-$token" 2>&1)
        fi
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail Unreachable "job ${active%%"$nl"*} does not end: ${said:-Slurm says nothing}"
        sleep 0.1 2> /dev/null || sleep 1
    done
    [ ! -d "$run" ] || rm -f "$run/state"
}

# create TOKEN TAGS LEASE LEASE_END JOB MINUTES OPTION...
request_create() {
    turn "$1"
    (umask 077 && mkdir -p "$root") 2> /dev/null || broken "$root cannot be created"
    lock_root
    if [ ! -d "$run" ] || [ -e "$run/released" ]; then
        building=$root/machines/.new
        scrub "$building"
        scrub "$machine"
        new=$building/box/.run
        { mkdir -p "$new" "$building/box/inputs" "$building/box/outputs" "$building/box/checkpoint" "$building/work" &&
            printf %s "$5" > "$building/job" && put "$new/grant" "1 $3" &&
            put "$building/tags" "$2" && put "$building/lease_end" "$4" &&
            mv -T "$building" "$machine"; } 2> /dev/null ||
            broken "$machine cannot be created: is the disk full, or is $root not ours?"
    fi
    lock_machine
    exec 9<&-
    tags=$2 minutes=$6
    shift 6
    known_job
    if [ -z "$job" ]; then
        # sbatch hands its whole environment to the job, and keeps it on a disk of the cluster.
        if ! job=$(keep_base_variables 'SBATCH_*' 'SLURM_*' && sbatch --parsable --job-name="sky-$token" --comment="$tags" --no-requeue --chdir="$box" \
            --output=/dev/null --time="$minutes" "$@" "$machine/job" "$box" 2> "$run/said" < /dev/null); then
            said=$(cat "$run/said")
            # Whether there is a job is not known if there was no answer.
            (refuse "$said") | grep -q '^!Unreachable' || scrub "$machine"
            refuse "$said"
        fi
        job=${job%%;*}
        case $job in '' | *[!0-9]*) broken "sbatch answers what is no number: $job" ;; esac
        put "$run/job" "$job" || broken "$run/job cannot be written"
    fi
    # sbatch does not refuse everything that no node can ever fulfil. The reason is in the queue, and a
    # busy controller takes a moment to write it there.
    looks=0
    while :; do
        verdict=$(squeue -h -t all -j "$job" -o '%T|%r' 2> /dev/null)
        case $verdict in '' | PENDING\|None) ;; *) break ;; esac
        looks=$((looks + 1))
        [ "$looks" -lt 20 ] || break
        sleep 0.1 2> /dev/null || sleep 1
    done
    case $verdict in
        FAILED\|BadConstraints | PENDING\|PartitionConfig | PENDING\|Partition*Limit | PENDING\|BadConstraints)
            kill_all
            scrub "$machine"
            fail Stockout "Slurm: this is more than the partition can ever give or allows"
            ;;
        PENDING\|*PerJobLimit)
            kill_all
            scrub "$machine"
            fail Quota "Slurm: this is more than the account's limit for one job"
            ;;
    esac
    describe
}

# jobs_without_folder OPTION...: jobs of sky in the queue whose folder was taken away. They go on, and go on costing, so
# whoever looks for machines has to see them. The options are for squeue.
jobs_without_folder() {
    jobs=$(squeue -h -u "$me" "$@" -o '%j|%Z|%k' 2>&1) || refuse "$jobs"
    printf '%s\n' "$jobs" | while IFS='|' read -r name folder tags; do
        case $name in sky-*) ;; *) continue ;; esac
        machine=$root/machines/${name#sky-}
        [ "$folder" = "$machine/box" ] && [ ! -d "$machine/box/.run" ] || continue
        say "0- ${name#sky-}  $tags"
    done
}

# find TOKEN: the machine is there as soon as its job is, and for as long as its job is, also without its folder.
request_find() {
    turn "$1"
    if [ -z "$there" ]; then
        jobs_without_folder -n "sky-$token"
        return
    fi
    [ -e "$run/released" ] || { known_job && [ -n "$job" ]; } || return 0
    describe
}

# list
request_list() {
    for machine in "$root"/machines/*; do
        [ -d "$machine/box/.run" ] || continue
        case ${machine##*/} in *[!0-9a-f]*) continue ;; esac
        turn "${machine##*/}"
        describe
    done
    jobs_without_folder
}

# A time of Slurm's, [DAYS-][[HOURS:]MINUTES:]SECONDS, in `$seconds`.
in_seconds() {
    days=0 seconds=0
    rest=$1
    case $rest in *-*) days=${rest%%-*} rest=${rest#*-} ;; esac
    while [ -n "$rest" ]; do
        part=${rest%%:*}
        case $rest in *:*) rest=${rest#*:} ;; *) rest= ;; esac
        # A leading zero would make it octal.
        part=${part#0}
        seconds=$((seconds * 60 + ${part:-0}))
    done
    seconds=$((seconds + days * 86400))
}

# renew TOKEN LEASE LEASE_END extend|keep: whether Slurm's own limit is to be moved as well.
request_renew() {
    needed "$1"
    lock_machine
    [ ! -e "$run/expired" ] && [ ! -e "$run/released" ] || fail NotFound "its lease is over"
    if [ ! -e "$run/exit" ]; then
        job_state
        ! over || fail NotFound "its job has ended: $state"
        ! lease_is_over || fail NotFound "its lease is over"
        [ "$4" = keep ] || extend "$2"
    fi
    IFS=' ' read -r number _ < "$run/grant" || number=0
    { put "$run/grant" "$((number + 1)) $2" && put "$machine/lease_end" "$3"; } || broken "$run/grant cannot be written"
}
extend() {
    known_job
    times=$(squeue -h -j "$job" -o '%M %l' 2>&1) || refuse "$times"
    limit=${times#* }
    case $limit in *[!0-9:-]*) return ;; esac
    in_seconds "${times% *}"
    needed=$((seconds + $1))
    in_seconds "$limit"
    [ "$seconds" -lt "$needed" ] || return 0
    said=$(scontrol update JobId="$job" TimeLimit="$(((needed + 59) / 60 + 1))" 2>&1) && return
    case $said in
        *"permission denied"* | *"nvalid user"*)
            fail Other "Slurm does not let us give job $job more time ($(printf %s "$said" | words)): it ends at its limit \
of $limit; set \`time\` of the cluster in hosts.toml to the longest that a stage may take"
            ;;
    esac
    refuse "$said"
}

# start TOKEN COMMAND plain|sealed NAME VALUE...: nothing if it was ever started. `sealed`: secrets
# will be handed to it.
request_start() {
    needed "$1"
    lock_machine
    ! begun || return 0
    usable
    new=$run/start.new
    scrub "$new"
    umask 077
    { mkdir -p "$work" && : >> "$box/log" && mkdir "$new" && printf %s "$2" > "$new/command" && { [ "$3" = plain ] || : > "$new/secrets"; }; } ||
        broken "$new cannot be written"
    shift 3
    pairs "$@" > "$new/environment" && mv -T "$new" "$run/start" || broken "$run/start cannot be written"
}
# Variables as lines: a name, the number of lines of its value, and these; `.` is the end.
pairs() {
    while [ "$#" -gt 1 ]; do
        printf '%s\n%s\n%s\n' "$1" "$(printf '%s\n' "$2" | wc -l | tr -d ' ')" "$2" || return
        shift 2
    done
    echo .
}

# look TOKEN: `sealed` and `asking` are of a command that was started, but waits for its secrets:
# `asking` once its job is there and listens.
request_look() {
    needed "$1"
    tell_end && return
    job_state
    if [ "$state" = PENDING ] && [ -e "$run/pid" ]; then
        # That may be what was said before it began.
        rm -f "$run/state"
        job_state
    fi
    if ! over; then
        if [ "$state" = PENDING ] && [ -e "$run/pid" ]; then
            say preempted
        elif lease_is_over && [ ! -e "$run/claim" ]; then
            say expired
        elif ! begun; then
            say waiting
        elif [ ! -e "$run/start/secrets" ] || [ -e "$run/handed" ]; then
            say running
        elif [ -e "$run/door" ]; then
            say asking
        else
            say sealed
        fi
        return
    fi
    # A folder that changes is looked at anew over a network: it may have ended well before its job.
    touch "$run/.clock"
    tell_end && return
    case $state in
        TIMEOUT | DEADLINE) say expired ;;
        PREEMPTED) say preempted ;;
        COMPLETED | FAILED)
            # Somebody asked the command to end, and it did.
            if first "$run/signalled"; then say "exited $line"; else say lost; fi
            ;;
        *) say lost ;;
    esac
}
# Says how the command ended, if the job has written that down.
tell_end() {
    if first "$run/exit"; then
        code=$line
        case $code in '' | *[!0-9]*) broken "$run/exit holds no exit code" ;; esac
        if [ -e "$run/expired" ]; then say expired; else say "exited $code"; fi
    elif [ -e "$run/requeued" ]; then
        say preempted
    elif [ -e "$run/expired" ]; then
        say expired
    else
        return 1
    fi
}

# hand TOKEN NAME VALUE...: secrets, from memory to memory: through Slurm's own connection to the
# node, into a pipe there.
request_hand() {
    needed "$1"
    lock_machine
    [ ! -e "$run/handed" ] || return 0
    known_job
    IFS=' ' read -r node door < "$run/door" || fail Unreachable "the job does not listen yet"
    shift
    # shellcheck disable=SC2016 # for the shell there
    said=$(pairs "$@" | timeout 60 srun --jobid="$job" --overlap --nodes=1 --ntasks=1 --nodelist="$node" --gres=none \
        --mem=0 --chdir=/ --quiet /bin/sh -c 'cat > "$1/door"' sh "$door" 2>&1) ||
        fail Unreachable "secrets do not reach job $job by srun: $(printf %s "$said" | words)"
    tries=0
    until [ -e "$run/handed" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 500 ] || fail Unreachable "job $job does not confirm its secrets"
        pause
    done
}
