"""Amazon EC2 for tests: moto, and in front of it what it lacks.

- A ClientToken is one instance: the same call again gets the same answer, another one an error.
- Errors on demand: before the call, or after it in place of its answer.
- A security group that an instance uses cannot be removed.
- Instances boot: cloud-init's users and host key become a folder with the configuration of a real sshd,
  that `ssh` runs as its ProxyCommand. A terminated instance loses its processes and its folder.

Usage: ec2.py FOLDER, which is removed at the end. Everybody with an access key `AKIA` and 12 digits has an
account of that number, and a folder of that name in FOLDER, or a link to one, if somebody has made it:

    faults          JSON: a list of {"action", "stage", "node", "region", "times", "status", "code", "lost"}
    quotas          JSON: limits of Service Quotas by code; 1000 of what is not in it
    requests        every request's form, one a line, with user data decoded
    machines/IP/    an instance's disk, and the configuration of its sshd

`GET /preempt/ACCOUNT/STAGE` takes a stage's instance away as AWS does with spot instances.
`GET /notice/ACCOUNT/STAGE/SECONDS` lets its metadata say that this will be done, and `/metadata/ACCOUNT/IP/...` is that
metadata, which asks for a session's token as IMDSv2 does.
Prints `port N`, and ends when its standard input does: it never outlives the tests.
"""

import base64
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qsl

home = os.path.realpath(sys.argv[1])
CANONICAL = "099720109477"


def image(number, name, architecture, created, owner=CANONICAL):
    return {
        "ami_id": f"ami-{number:08x}", "name": name, "owner_id": owner, "architecture": architecture,
        "creation_date": created, "public": True, "virtualization_type": "hvm", "hypervisor": "xen",
        "root_device_type": "ebs", "root_device_name": "/dev/sda1", "image_type": "machine", "state": "available",
        "description": name, "platform": None, "image_location": name,
    }


noble = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-{}"
images = [
    image(1, noble.format("amd64", "20250101"), "x86_64", "2025-01-01T00:00:00.000Z"),
    image(2, noble.format("amd64", "20260901"), "x86_64", "2026-09-01T00:00:00.000Z"),
    image(3, noble.format("arm64", "20260901"), "arm64", "2026-09-01T00:00:00.000Z"),
    image(5, "Deep Learning Base Neuron AMI (Ubuntu 22.04) 20260901", "x86_64", "2026-09-01T00:00:00.000Z", "amazon"),
    image(4, noble.format("amd64", "20270101"), "x86_64", "2027-01-01T00:00:00.000Z", "111111111111"),
]
with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
    json.dump(images, file)
os.environ.update(
    MOTO_AMIS_PATH=file.name, MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true", MOTO_ENABLE_AMI_VALIDATION="true"
)

from moto.ec2.models import ec2_backends  # noqa: E402
from moto.ec2 import utils  # noqa: E402
from moto.ec2.models import elastic_network_interfaces  # noqa: E402
from moto.ec2.models.instances import StateReason  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

os.unlink(file.name)
numbers = itertools.count(1)


def next_address():
    number = next(numbers)
    return f"54.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


elastic_network_interfaces.random_public_ip = next_address
utils.filter_dict_attribute_mapping["client-token"] = "client_token"
moto = DomainDispatcherApplication(create_backend_app)
# By account, region and ClientToken: the digest of the call, its answer, its instance.
made = {}


def error(status, code, message):
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>" \
           "<RequestID>1</RequestID></Response>"
    return status, body.encode()


def call_moto(environ, body):
    import io

    environ = dict(environ)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    said = {}

    def start(status, headers, _info=None):
        said["status"] = status

    answer = b"".join(moto(environ, start))
    return int(said["status"].split()[0]), answer


def tags(form):
    names = {key: value for key, value in form.items() if key.startswith("TagSpecification.1.Tag.")}
    return {value: names.get(key[: -len("Key")] + "Value", "") for key, value in names.items() if key.endswith(".Key")}


def fault(folder, form, region):
    """The first fault that fits and is not used up."""
    path = os.path.join(folder, "faults")
    if not os.path.exists(path):
        return None
    with open(path) as file:
        faults = json.load(file)
    stage, node = tags(form).get("sky-stage"), tags(form).get("sky-node")
    for one in faults:
        fits = one["action"] == form.get("Action") and one.get("stage") in (None, stage) and one.get("node") in (None, node)
        if fits and one.get("region") in (None, region) and one.get("times", 1 << 30) > 0:
            one["times"] = one.get("times", 1 << 30) - 1
            with open(path + ".new", "w") as file:
                json.dump(faults, file)
            os.rename(path + ".new", path)
            return one
    return None


def boot(folder, account, instance, user_data):
    text = base64.b64decode(user_data).decode()
    first, config = text.split("\n", 1)
    if first != "#cloud-config":
        return
    config = json.loads(config)
    place = os.path.join(folder, "machines", instance.public_ip)
    disk = os.path.join(place, "home")
    os.makedirs(disk)

    def write(name, text):
        path = os.path.join(place, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        return path

    host = write("host", config["ssh_keys"]["ed25519_private"])
    keys = write("authorized", "\n".join(config["users"][0]["ssh_authorized_keys"]) + "\n")
    # The user is whoever runs the tests, in a home folder that is the instance's own.
    shell = write("shell", f'HOME={disk}; export HOME; cd && exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    write(
        "config",
        f"HostKey {host}\nAuthorizedKeysFile {keys}\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"PrintMotd no\nLogLevel QUIET\nKexAlgorithms curve25519-sha256\nForceCommand exec /bin/sh {shell}\n",
    )
    for file in config["write_files"]:
        if file["path"] == "/usr/local/sbin/sky-notice":
            subprocess.Popen(
                ["/bin/sh", write("notice", file["content"]), disk],
                env={
                    "HOME": disk, "PATH": os.environ["PATH"],
                    "SKY_METADATA": f"http://127.0.0.1:{server.server_port}/metadata/{account}/{instance.public_ip}",
                },
                stdin=subprocess.DEVNULL, start_new_session=True,
            )


def halt(folder, address):
    """Ends all that runs on the instance that had this address, and removes its disk."""
    place = os.path.join(folder, "machines", address or "none")
    if not os.path.exists(place):
        return
    # Nobody comes in any more.
    os.rename(place, place + ".gone")
    mark = (place + "/").encode()
    while True:
        found = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    text = file.read()
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    text += file.read()
                with open(f"/proc/{pid}/stat") as file:
                    state = file.read().rsplit(")", 1)[1].split()[0]
                if mark in text and state not in "ZX":
                    os.kill(int(pid), signal.SIGKILL)
                    found += 1
            except (OSError, IndexError):
                pass
        if not found:
            break
    shutil.rmtree(place + ".gone", ignore_errors=True)


def used(backend, group):
    instances = [one for reservation in backend.reservations.values() for one in reservation.instances]
    alive = [one for one in instances if one.state not in ("terminated",)]
    return any(group == known.id for one in alive for known in one.security_groups)


def serve(environ, start):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    status, answer, lost = handle(environ, body)
    if lost:
        # No answer ever comes.
        environ["werkzeug.socket"].shutdown(2)
        raise ConnectionError
    start(f"{status} X", [("Content-Type", "text/xml"), ("Content-Length", str(len(answer)))])
    return [answer]


def handle(environ, body):
    path = environ.get("PATH_INFO", "")
    if path.startswith("/preempt/"):
        return preempt(*path.split("/")[2:])
    if path.startswith("/notice/"):
        return announce(*path.split("/")[2:])
    if path.startswith("/metadata/"):
        return *metadata(environ, *path.split("/", 4)[2:]), False
    scope = re.search(r"Credential=AKIA(\d{12})/\d+/([a-z0-9-]+)/([a-z0-9]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    if not scope:
        return *error(401, "AuthFailure", "AWS was not able to validate the provided access credentials"), False
    account, region, service = scope.groups()
    folder = os.path.realpath(os.path.join(home, account))
    if service == "servicequotas":
        return *quota(folder, region, json.loads(body)), False
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    backend = ec2_backends[account][region]
    user_data = form.get("UserData", "")
    if os.path.isdir(folder):
        with open(os.path.join(folder, "requests"), "a") as file:
            file.write(json.dumps({**form, "UserData": base64.b64decode(user_data).decode()}) + "\n")
    wanted = fault(folder, form, region)
    if wanted and not wanted.get("lost"):
        return *error(wanted["status"], wanted["code"], "as the test wants it"), False
    status, answer = act(environ, body, form, account, region, folder, backend, user_data)
    return status, answer, bool(wanted)


def quota(folder, region, asked):
    """Service Quotas: GetServiceQuota. moto has none of EC2's."""
    wanted = fault(folder, {"Action": "GetServiceQuota"}, region)
    if wanted:
        said = {"__type": wanted["code"], "message": "as the test wants it"}
        return wanted["status"], json.dumps(said).encode()
    code = asked["QuotaCode"]
    path = os.path.join(folder, "quotas")
    limits = json.load(open(path)) if os.path.exists(path) else {}
    said = {"QuotaCode": code, "QuotaName": f"Running machines of {code}", "Value": float(limits.get(code, 1000))}
    return 200, json.dumps({"Quota": said}).encode()


def act(environ, body, form, account, region, folder, backend, user_data):
    action = form.get("Action")
    token = form.get("ClientToken")
    if action == "RunInstances" and token:
        digest = hashlib.sha256(body).hexdigest()
        known = made.get((account, region, token))
        if known:
            if known[0] != digest:
                return error(400, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent")
            if known[2].state == "terminated":
                return error(400, "IdempotentInstanceTerminated", "The instance has been terminated")
            return 200, known[1]
    if action == "DeleteSecurityGroup" and used(backend, form.get("GroupId")):
        return error(400, "DependencyViolation", f"resource {form.get('GroupId')} has a dependent object")
    ending = []
    if action == "TerminateInstances":
        # An instance that has ended has no address.
        ids = [value for key, value in form.items() if key.startswith("InstanceId.")]
        all_ids = {one.id: one for known in backend.reservations.values() for one in known.instances}
        ending = [all_ids[one].public_ip for one in ids if one in all_ids]
    status, answer = call_moto(environ, body)
    if status != 200:
        return status, answer
    if action == "RunInstances":
        instance = backend.get_instance(re.search(rb"<instanceId>([^<]+)<", answer).group(1).decode())
        if token:
            made[account, region, token] = (digest, answer, instance)
        if user_data and os.path.isdir(folder):
            boot(folder, account, instance, user_data)
    for address in ending:
        halt(folder, address)
    return status, answer


def running(account, stage):
    """The running instance of a stage, if there is one."""
    for backend in list(ec2_backends[account].values()):
        for reservation in list(backend.reservations.values()):
            for instance in reservation.instances:
                known = {tag["key"]: tag["value"] for tag in instance.get_tags()}
                if known.get("sky-stage") == stage and instance.state == "running":
                    return instance
    return None


def preempt(account, stage):
    folder = os.path.realpath(os.path.join(home, account))
    instance = running(account, stage)
    if instance is None:
        return 404, b"", False
    address = instance.public_ip
    instance.terminate()
    instance.state_reason = StateReason("taken away", "Server.SpotInstanceTermination")
    halt(folder, address)
    return 200, b"", False


# When what has this address is taken away, by account and address.
announced = {}


def announce(account, stage, seconds):
    instance = running(account, stage)
    if instance is None:
        return 404, b"", False
    announced[account, instance.public_ip] = time.time() + int(seconds)
    return 200, b"", False


def metadata(environ, account, address, path):
    verb = environ["REQUEST_METHOD"]
    if (verb, path) == ("PUT", "latest/api/token"):
        lives = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "")
        if not lives.isdigit() or not 1 <= int(lives) <= 21600:
            return 400, b""
        return 200, f"session-of-{address}".encode()
    if environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN") != f"session-of-{address}":
        return 401, b""
    end = announced.get((account, address))
    if (verb, path) != ("GET", "latest/meta-data/spot/instance-action") or end is None:
        return 404, b"<html>Not Found</html>"
    return 200, json.dumps({"action": "terminate", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))}).encode()


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def end_with_input():
    sys.stdin.read()
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
server = make_server("127.0.0.1", 0, serve, threaded=False, request_handler=Quiet)
print(f"port {server.server_port}", flush=True)
server.serve_forever()
