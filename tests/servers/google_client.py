"""Google's own client, driving a Google that is at an address of this machine.

It makes, changes, looks at and ends an instance, a firewall rule and a TPU VM as anybody would, looks
at what others have made there, and prints what it has seen as JSON.

Usage: google_client.py http://127.0.0.1:PORT PROJECT, with the libraries that `.ci/schemas` installs.
"""

import json
import sys
import time

from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

endpoint, project = sys.argv[1:3]


def client(name, version, below):
    # The description is the one that comes with the client: no network is asked for it.
    return build(
        name, version, static_discovery=True, cache_discovery=False, credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint + below},
    )


compute = client("compute", "v1", "/compute/v1/")
tpu = client("tpu", "v2", "/")
zone = "us-central1-a"
parent = f"projects/{project}/locations/us-central1-b"
seen = {}


def done(begin, ask):
    """Waits for an operation of Compute Engine."""
    operation = begin.execute()
    until = time.monotonic() + 60
    while operation["status"] != "DONE":
        assert time.monotonic() < until, operation
        operation = ask(operation["name"]).execute()
    assert "error" not in operation, operation
    return operation


def in_zone(name):
    return compute.zoneOperations().get(project=project, zone=zone, operation=name)


def everywhere(name):
    return compute.globalOperations().get(project=project, operation=name)


def of_tpu(begin):
    operation = begin.execute()
    until = time.monotonic() + 60
    while not operation.get("done"):
        assert time.monotonic() < until, operation
        operation = tpu.projects().locations().operations().get(name=operation["name"]).execute()
    assert "error" not in operation, operation


def status(call):
    try:
        call.execute()
    except HttpError as error:
        return error.status_code
    return 200


# What was there before.
def instances(**more):
    found, request = [], compute.instances().aggregatedList(project=project, **more)
    while request is not None:
        answer = request.execute()
        found += [one for part in answer["items"].values() for one in part.get("instances", [])]
        request = compute.instances().aggregatedList_next(request, answer)
    return found


def nodes():
    found, request = [], tpu.projects().locations().nodes().list(parent=f"projects/{project}/locations/-")
    while request is not None:
        answer = request.execute()
        found += answer.get("nodes", [])
        request = tpu.projects().locations().nodes().list_next(request, answer)
    return found


seen["instances"] = sorted(one["name"] for one in instances(filter="labels.sky-token:*"))
seen["nodes"] = sorted(one["name"].rsplit("/", 1)[1] for one in nodes())

# An instance.
body = {
    "name": "theirs",
    "machineType": f"zones/{zone}/machineTypes/e2-small",
    "labels": {"sky-token": "f" * 32, "sky-stage": "theirs"},
    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": "family/x"}}],
    "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
}
request_id = "6e1d2f3a-0000-8000-8000-000000000001"
insert = lambda: compute.instances().insert(project=project, zone=zone, body=body, requestId=request_id)
first = done(insert(), in_zone)
# The same request again is the same operation.
assert insert().execute()["name"] == first["name"]
made = compute.instances().get(project=project, zone=zone, instance="theirs").execute()
assert made["status"] == "RUNNING" and made["machineType"].endswith("/e2-small")
assert made["networkInterfaces"][0]["accessConfigs"][0]["natIP"]
again = compute.instances().insert(project=project, zone=zone, body=body, requestId=request_id[:-1] + "2")
seen["again"] = status(again)
change = {"labels": {**made["labels"], "x": "y"}, "labelFingerprint": made["labelFingerprint"]}
done(compute.instances().setLabels(project=project, zone=zone, instance="theirs", body=change), in_zone)
# With what was known before the change.
seen["stale"] = status(compute.instances().setLabels(project=project, zone=zone, instance="theirs", body=change))
assert [one["labels"]["x"] for one in instances(filter='name = "theirs"')] == ["y"]

# A firewall rule.
rule = {"name": "theirs", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}], "sourceRanges": ["192.0.2.1/32"]}
done(compute.firewalls().insert(project=project, body=rule), everywhere)
assert compute.firewalls().get(project=project, firewall="theirs").execute()["sourceRanges"] == ["192.0.2.1/32"]
done(compute.firewalls().delete(project=project, firewall="theirs"), everywhere)
seen["no_rule"] = status(compute.firewalls().get(project=project, firewall="theirs"))

# A TPU VM.
places = tpu.projects().locations()
assert zone in [one["locationId"] for one in places.list(name=f"projects/{project}").execute()["locations"]]
assert places.acceleratorTypes().get(name=f"{parent}/acceleratorTypes/v3-8").execute()["type"] == "v3-8"
node = {"acceleratorType": "v3-8", "runtimeVersion": "tpu-ubuntu2204-base", "labels": {"sky-token": "e" * 32}}
of_tpu(places.nodes().create(parent=parent, nodeId="theirs", body=node))
assert places.nodes().get(name=f"{parent}/nodes/theirs").execute()["state"] == "READY"
seen["node_again"] = status(places.nodes().create(parent=parent, nodeId="theirs", body=node))
labels = {"labels": {**node["labels"], "x": "y"}}
of_tpu(places.nodes().patch(name=f"{parent}/nodes/theirs", updateMask="labels", body=labels))
assert places.nodes().get(name=f"{parent}/nodes/theirs").execute()["labels"]["x"] == "y"

# Whoever is asked to, looks now.
print("made", flush=True)
sys.stdin.readline()

of_tpu(places.nodes().delete(name=f"{parent}/nodes/theirs"))
seen["no_node"] = status(places.nodes().get(name=f"{parent}/nodes/theirs"))
done(compute.instances().delete(project=project, zone=zone, instance="theirs"), in_zone)
seen["no_instance"] = status(compute.instances().get(project=project, zone=zone, instance="theirs"))
print(json.dumps(seen, sort_keys=True))
