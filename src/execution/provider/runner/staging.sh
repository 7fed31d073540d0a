# The agent's part in staging through buckets: it says what an output is, sends it in chunks to addresses that it is
# given, fetches inputs from such addresses. They come as content over the connection, and go to curl or wget by its
# input: they are in no file and in no command line. Needs GNU find, sha256sum, and curl or wget.
#
# root/machines/TOKEN/box/.run/got/NUMBER/  an input on its way: `mark`, `pack`, the `sums` of its chunks so far
requests="$requests measure deliver fetch lay"
mib=1048576

# Says that we are still at work, in lines of its own, until `still`.
beat() {
    (
        trap 'kill "$nap" 2> /dev/null; exit 0' TERM
        while :; do
            sleep 20 > /dev/null 2>&1 &
            nap=$!
            wait "$nap"
            say beat
        done
    ) &
    beat=$!
}
still() {
    kill "$beat" 2> /dev/null
    wait "$beat" 2> /dev/null
}
# Whether we can do what we are asked for; $1: the first address.
able() {
    for tool in find sha256sum ln sleep; do
        command -v "$tool" > /dev/null 2>&1 || fail Other "the host lacks $tool, which staging through buckets needs; --staging home does without"
    done
    case $1 in file://*) return 0 ;; esac
    command -v curl > /dev/null 2>&1 || command -v wget > /dev/null 2>&1 ||
        fail Other "the host has neither curl nor wget, and staging through buckets needs one of them; --staging home does without"
}
digest() { sha256sum < "$1" | cut -c 1-64; }
size() { wc -c < "$1" | tr -d ' '; }

# measure TOKEN: whether we can do what is asked for at all.
# measure TOKEN OUTPUT: `missing`; or `file` or `program` with size and digest; or `folder`, and all entries:
# kind, mode, size, name, NUL, target, NUL of each; NUL; digest and name, NUL, of each file.
request_measure() {
    needed "$1"
    if [ "$#" -lt 2 ]; then
        able http://
        return
    fi
    able file://
    output=$box/outputs/$2 list=$run/list.$$
    if [ ! -e "$output" ]; then
        say missing
    elif [ -d "$output" ]; then
        beat
        resolve_links "$output/"
        [ -z "$said" ] || {
            still
            fail Output "$(printf %s "output $2: $said" | words)"
        }
        (cd "$output/" && find . -mindepth 1 -printf '%y %m %s %P\0%l\0' && printf '\0' &&
            find . -type f -exec sha256sum -z -- {} +) > "$list" 2> "$list.said"
        code=$?
        still
        [ "$code" = 0 ] || {
            said=$(words < "$list.said")
            rm -f "$list" "$list.said"
            broken "output $2 cannot be read: $said"
        }
        say folder
        send "$run/part.$$" < "$list"
        rm -f "$list" "$list.said"
    elif [ -f "$output" ]; then
        beat
        sum=$(digest "$output")
        still
        if [ -x "$output" ]; then kind=program; else kind=file; fi
        say "$kind $(size "$output") $sum"
    else
        fail Output "output $2 is a pipe, a socket or a device: only files, directories and links are data"
    fi
}

# Makes one call with an address, the first argument, which no other process sees; `$code`: the answer's status.
# The other arguments are those of curl; wget gets its own.
call() {
    address=$1
    shift
    if command -v curl > /dev/null 2>&1; then
        code=$({
            printf 'url = "%s"\n' "$address"
            [ -z "$header" ] || printf 'header = "%s"\n' "$header"
        } | curl -q -g -f -sS -w '%{http_code}' -H Expect: --connect-timeout 20 --speed-limit 1024 --speed-time 60 \
            "$@" -K - 2> "$answer")
    elif printf '%s\n' "$address" | wget -q --tries=1 --timeout=60 --server-response ${header:+--header="$header"} \
        "$@" -i - 2> "$answer"; then
        code=200
    else
        # Of all that it says only the status is kept: the rest names the address.
        code=$(sed -n 's/^ *HTTP\/[0-9.]* \([0-9]*\).*/\1/p' "$answer" | tail -n 1)
        : > "$answer"
    fi
    case $code in 200 | 201 | 206) return 0 ;; esac
    return 1
}
# What a call that failed means.
because() {
    case $code in
        '' | 000) said="Unreachable the store does not answer: $(words < "$answer")" ;;
        400 | 404) said="Other the store answers with status $code" ;;
        *) said="Unreachable the store answers with status $code" ;;
    esac
}
# upload FILE ADDRESS; why not is in `$said`.
upload() {
    case $2 in
        file://*)
            to=${2#file://}
            mkdir -p "${to%/*}" 2> "$answer" && cp "$1" "$to.$$" 2> "$answer" && mv -f "$to.$$" "$to" 2> "$answer" && return
            said="Other the shared folder cannot be written to: $(words < "$answer")"
            return 1
            ;;
    esac
    for wait in 1 2 4 0; do
        if command -v curl > /dev/null 2>&1; then
            call "$2" -o /dev/null -T "$1" && return
        else
            call "$2" -O /dev/null --method=PUT --body-file="$1" --header="Content-Type: application/octet-stream" && return
        fi
        because
        case $code in 4*) return 1 ;; esac
        sleep "$wait"
    done
    return 1
}
# download FILE ADDRESS: goes on with what is there of it; why not is in `$said`.
download() {
    case $2 in
        file://*)
            cp "${2#file://}" "$1" 2> "$answer" && return
            said="Other the shared folder cannot be read: $(words < "$answer")"
            return 1
            ;;
    esac
    for wait in 1 2 4 0; do
        if command -v curl > /dev/null 2>&1; then
            call "$2" -o "$1" -C - && return
        else
            call "$2" -c -O "$1" && return
        fi
        because
        # What is there is whole, or cannot be gone on with.
        case $code in 416 | 2*) rm -f "$1" ;; 4*) return 1 ;; esac
        sleep "$wait"
    done
    return 1
}

# Chunks on their way at a time: one connection seldom fills a line between clouds. Each has a file on the disk.
lanes=8

# Ends what is on its way; the arguments begin with the process each.
halt() {
    for lane in "$@"; do
        [ "${lane%% *}" != - ] || continue
        kill "${lane%% *}" 2> /dev/null
        wait "${lane%% *}" 2> /dev/null
    done
}

# PROCESS NUMBER SIZE SUM STATE: a chunk is there, once the process has ended; process `-`: there is none.
sent() {
    [ "$1" = - ] || wait "$1" || {
        cat "$part.$2.said" 2> /dev/null || echo "Unreachable what sends a piece was ended"
        return 1
    }
    rm -f "$part.$2"
    echo "$3 $4 $5" >> "$sums"
}

# Sends the input in chunks: a line for each in `$sums`. What is wrong is said on the output.
pieces() {
    exec 3<&0
    printf '%s\n' "$addresses" | {
        number=0 over=
        set --
        while IFS=' ' read -r have address; do
            # Whoever is not heard any more ends here.
            say beat >&4
            chunk_file=$part.$number
            dd bs=$mib count=$((chunk / mib)) iflag=fullblock of="$chunk_file" <&3 2> /dev/null || {
                echo "Other $part cannot be written: is the disk full?"
                halt "$@"
                return
            }
            size=$(size "$chunk_file")
            if [ "$size" = 0 ] && [ "$number" -gt 0 ]; then
                over=1
                break
            fi
            sum=$(digest "$chunk_file")
            if [ "$have" = "$size" ]; then
                set -- "$@" "- $number $size $sum kept"
            else
                (
                    answer=$answer.$number
                    upload "$chunk_file" "$address" || {
                        echo "$said" > "$chunk_file.said"
                        exit 1
                    }
                ) > /dev/null 3<&- &
                set -- "$@" "$! $number $size $sum sent"
            fi
            number=$((number + 1))
            [ "$#" -lt "$lanes" ] || {
                # shellcheck disable=SC2086 # these are words
                sent $1 || {
                    shift
                    halt "$@"
                    return
                }
                shift
            }
        done
        while [ "$#" -gt 0 ]; do
            # shellcheck disable=SC2086
            sent $1 || {
                shift
                halt "$@"
                return
            }
            shift
        done
        [ -n "$over" ] || [ "$(dd bs=1 count=1 <&3 2> /dev/null | wc -c)" -eq 0 ] ||
            echo "Other it became larger while it was read"
    }
}

# deliver TOKEN output|input NAME CHUNK HEADER, then as content a line for each chunk: the size of what is there
# already or `-`, and an address. Answers with size, digest and `sent` or `kept` of each.
request_deliver() {
    content=1
    needed "$1"
    addresses=$(receive)
    content=
    able "${addresses#* }"
    chunk=$4 header=$5
    part=$run/chunk.$$ sums=$run/sums.$$ answer=$run/answer.$$ torn=$run/torn.$$
    case $2 in
        output) source=$box/outputs/$3 ;;
        *) source=$run/got/$3/pack ;;
    esac
    : > "$sums" || broken "$run cannot be written: is the disk full?"
    rm -f "$torn"
    exec 4>&1
    beat
    if [ -d "$source" ]; then
        sorted=--sort=name
        tar --sort=name --version > /dev/null 2>&1 || sorted=
        exact_times
        # shellcheck disable=SC2086 # these are words
        said=$({ tar -cf - $sorted $exact -C "$source/" . 2> /dev/null || : > "$torn"; } | pieces)
    else
        said=$(pieces < "$source")
    fi
    still
    [ -n "$said" ] || [ ! -e "$torn" ] || said="Other $source cannot be read"
    list=$(cat "$sums")
    rm -f "$part".* "$sums" "$answer" "$answer".* "$torn"
    [ -z "$said" ] || fail "${said%% *}" "${said#* }"
    printf '%s\n' "$list" | sed 's/^/+/'
}

# PROCESS NUMBER: a chunk is there, once the process has ended, and is put behind those before it.
arrived() {
    part=$got/part.$2
    wait "$1" || {
        cat "$part.said" 2> /dev/null || echo "Unreachable what fetches a piece was ended"
        return 1
    }
    size=$(size "$part")
    sum=$(digest "$part")
    dd bs=$mib if="$part" of="$got/pack" seek=$((($2 - 1) * (chunk / mib))) conv=notrunc 2> /dev/null &&
        echo "$size $sum" >> "$got/sums" || {
        echo "Other $got/pack cannot be written: is the disk full?"
        return 1
    }
    rm -f "$part"
}

# Fetches the chunks that are not yet there.
gather() {
    number=0
    had=$(wc -l < "$got/sums")
    printf '%s\n' "$addresses" | {
        set --
        while IFS= read -r address; do
            number=$((number + 1))
            [ "$number" -gt "$had" ] || continue
            say beat >&4
            (
                answer=$answer.$number part=$got/part.$number
                # Whole from an earlier request, that came to its end for another piece.
                [ ! -e "$part" ] || exit 0
                download "$part.some" "$address" && mv -f "$part.some" "$part" || {
                    echo "$said" > "$part.said"
                    exit 1
                }
            ) > /dev/null &
            set -- "$@" "$! $number"
            [ "$#" -lt "$lanes" ] || {
                # shellcheck disable=SC2086 # these are words
                arrived $1 || {
                    shift
                    halt "$@"
                    return
                }
                shift
            }
        done
        while [ "$#" -gt 0 ]; do
            # shellcheck disable=SC2086
            arrived $1 || {
                shift
                halt "$@"
                return
            }
            shift
        done
    }
}

# fetch TOKEN NUMBER MARK CHUNK, then as content an address a line. Answers with the number of chunks that were there,
# then with size and digest of each.
request_fetch() {
    content=1
    needed "$1"
    usable
    addresses=$(receive)
    content=
    able "$addresses"
    chunk=$4 header=
    got=$run/got/$2 answer=$run/answer.$$
    mkdir -p "$got" || broken "$got cannot be created: is the disk full?"
    exec 4>&1
    beat
    # One that nobody listens to any more may still be at it.
    exec 7< "$got"
    flock 7
    if ! first "$got/mark" || [ "$line" != "$3" ]; then
        rm -rf "$got"/*
        : > "$got/sums"
        : > "$got/pack"
        put "$got/mark" "$3"
    fi
    had=$(wc -l < "$got/sums" | tr -d ' ')
    said=$(gather)
    still
    exec 7<&-
    rm -f "$answer" "$answer".* "$got"/part.*.said
    [ -z "$said" ] || fail "${said%% *}" "${said#* }"
    say "$had"
    sed 's/^/+/' "$got/sums"
}

# lay TOKEN NUMBER NAME file|program|archive: puts what was fetched among the inputs.
request_lay() {
    needed "$1"
    usable
    got=$run/got/$2 to=$box/inputs/$3 laid=$run/laid.$$
    lock_machine
    if begun; then return; fi
    [ -e "$got/pack" ] || fail Other "input $3 was not fetched"
    scrub "$to"
    case $4 in
        archive)
            { mkdir "$laid" && tar -xof "$got/pack" -C "$laid" && mv "$laid" "$to"; } 2> "$run/said.$$" || {
                said=$(words < "$run/said.$$")
                rm -rf "$laid"
                broken "input $3 cannot be laid out: $said"
            }
            rm -f "$run/said.$$"
            ;;
        *)
            ln "$got/pack" "$to" 2> /dev/null || cp "$got/pack" "$to" || broken "input $3 cannot be laid out"
            if [ "$4" = program ]; then chmod 755 "$to"; else chmod 644 "$to"; fi
            ;;
    esac
}
