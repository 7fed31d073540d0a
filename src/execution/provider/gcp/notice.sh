# A preemption is announced 30 seconds ahead, in the metadata, of which a question waits for the change; at the same
# time the machine's power button is pressed.
# https://cloud.google.com/compute/docs/instances/preemptible#preemption-process
base=${SKY_METADATA:-http://metadata.google.internal}
pause=1
asked=$(mktemp)
ask() {
    etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: *\([A-Za-z0-9]*\).*/\1/p' "$asked")
    said=$(curl -sf -m 70 --noproxy '*' -H 'Metadata-Flavor: Google' -D "$asked" \
        "$base/computeMetadata/v1/instance/preempted?wait_for_change=true&timeout_sec=60&last_etag=${etag:-NONE}") ||
        {
            : > "$asked"
            return 1
        }
    case $said in
        TRUE) echo 30 ;;
        FALSE) ;;
        *) return 1 ;;
    esac
}
