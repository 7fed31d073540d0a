# An interruption of a spot instance is announced two minutes ahead, at an address that is not there before. AWS
# recommends to ask every 5 seconds.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
base=${SKY_METADATA:-http://169.254.169.254}
pause=5
ask() {
    key=$(curl -sf -m 2 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/latest/api/token") || return 1
    said=$(curl -s -m 2 --noproxy '*' -w ' %{http_code}' -H "X-aws-ec2-metadata-token: $key" \
        "$base/latest/meta-data/spot/instance-action") || return 1
    case $said in
        *' 404') return 0 ;;
        *' 200') ;;
        *) return 1 ;;
    esac
    time=$(printf '%s\n' "$said" | sed -n 's/.*"time" *: *"\([^"]*\)".*/\1/p')
    # Two minutes, less the time between two questions.
    seconds_to "$time" 115
}
