"""A Kubernetes cluster for tests: the few routes of the API server that sky uses, the controllers behind them,
and pods that are processes of this machine. Bodies are checked by the models of Kubernetes' own client.

Usage: cluster.py FOLDER, for the disks of pods; it is removed at the end. Prints `port N`, and ends when its
standard input does. `Bearer admin` may do everything, `Bearer stranger` nothing, and others are not known.

`POST /test/NAMESPACE` makes a namespace, or changes its `settings`, or does something to a token's pod (`do`):

    troubles    a list of {"method", "resource", "times", "code", "reason", "message", "lost", "old"}
    unplaced    there is no node for new pods, and why
    forbidden   no pods are made, and why
    waiting     new pods stay in this state of their container: {"reason", "message"}
    lacks       programs that the image has not
    old         a pod that is deleted is replaced, and no condition says why, as in clusters before 1.26
    protocol    the only one that exec speaks

`GET /test/NAMESPACE` tells what is there, what was asked, and what was wrong with it.
"""

import asyncio
import copy
import datetime
import json
import os
import random
import shutil
import sys
import traceback
from urllib.parse import parse_qs, unquote, urlsplit

import cluster_schema as schema
from cluster_objects import leaves, many, merged, now, selected, touched, truth, uid, without
from cluster_pods import Processes, serve

HOME = os.path.realpath(sys.argv[1])
PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
SETTINGS = ["troubles", "unplaced", "forbidden", "waiting", "lacks", "old", "protocol"]
namespaces = {}
# What this program itself got wrong.
faults = []


class Refused(Exception):
    def __init__(self, code, reason, message):
        self.code, self.reason, self.message = code, reason, message


class Namespace:
    def __init__(self, name):
        self.name, self.settings, self.jobs, self.pods, self.events = name, {}, {}, {}, []
        self.processes, self.owned, self.asked, self.wrong, self.tasks = {}, {}, [], [], set()
        # Jobs that had a pod.
        self.had = set()
        self.late = set()

    def run(self, work):
        task = asyncio.ensure_future(self.watched(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def watched(self, work):
        try:
            await work
        except Exception:
            faults.append(traceback.format_exc())


def manages(space, job, manager, operation, fields):
    owned = space.owned.setdefault(job["metadata"]["uid"], {})
    owned[(manager, operation)] = fields
    kept = [one for one in job["metadata"].get("managedFields", [])
            if (one["manager"], one["operation"]) != (manager, operation)]
    kept.append({"manager": manager, "operation": operation, "apiVersion": "batch/v1", "time": now(),
                 "fieldsType": "FieldsV1", "fieldsV1": {}})
    job["metadata"]["managedFields"] = kept


def checked(space, value, kind, whole):
    wrong = []
    schema.check(value, kind, kind, wrong, whole)
    if wrong:
        space.wrong += wrong
        raise Refused(400, "BadRequest", "strict decoding error: " + ", ".join(wrong))


def stored(space, job, former):
    """Fills in, checks and keeps a Job that was made or changed."""
    name = job["metadata"]["name"]
    job["metadata"]["namespace"] = space.name
    checked(space, job, "V1Job", True)
    spec = job["spec"]
    if wrong := schema.sound(job):
        space.wrong += wrong
        raise Refused(422, "Invalid", f'Job.batch "{name}" is invalid: ' + ", ".join(wrong))
    if former:
        for key in ("template", "selector", "completions"):
            if spec.get(key) != former["spec"].get(key):
                raise Refused(422, "Invalid", f'Job.batch "{name}" is invalid: spec.{key}: field is immutable')
        if spec.get("activeDeadlineSeconds") != former["spec"].get("activeDeadlineSeconds"):
            space.run(deadline(space, name, job["metadata"]["uid"]))
    else:
        owner = job["metadata"]["uid"]
        spec.setdefault("parallelism", 1)
        spec.setdefault("completions", 1)
        spec["selector"] = {"matchLabels": {"controller-uid": owner}}
        labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        labels.update({"controller-uid": owner, "job-name": name})
        job["status"] = {}
    touched(job)
    space.jobs[name] = job
    if not former:
        space.run(control(space, name, job["metadata"]["uid"]))
    return job


def created(space, job, manager):
    if space.name not in namespaces:
        raise Refused(404, "NotFound", f'namespaces "{space.name}" not found')
    job = copy.deepcopy(job)
    job["metadata"].update({"uid": uid(), "creationTimestamp": now(), "generation": 1})
    return stored(space, job, None)


def patch_job(space, name, body, query, kind):
    former = space.jobs.get(name)
    manager = query.get("fieldManager", ["unknown"])[0]
    if kind == "application/apply-patch+yaml":
        if "fieldManager" not in query:
            raise Refused(422, "Invalid", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        if body.get("apiVersion") != "batch/v1" or body.get("kind") != "Job" or body["metadata"].get("name") != name:
            raise Refused(400, "BadRequest", "the name, kind or version in the body is not that of the request")
        checked(space, body, "V1Job", False)
        fields = leaves({key: body[key] for key in ("metadata", "spec") if key in body})
        if not former:
            job = created(space, body, manager)
            manages(space, job, manager, "Apply", fields)
            return 201, job
        owned = space.owned.get(former["metadata"]["uid"], {})
        job = copy.deepcopy(former)
        for path in owned.get((manager, "Apply"), {}):
            if path not in fields and not any(path in other for who, other in owned.items() if who != (manager, "Apply")):
                without(job, path)
        for who, other in owned.items():
            taken = [path for path, value in other.items() if who[0] != manager and fields.get(path, value) != value]
            if taken and not truth(query, "force"):
                raise Refused(409, "Conflict", f"Apply failed with conflicts: {who[0]}: {taken}")
        job = merged(job, {key: body[key] for key in ("metadata", "spec") if key in body})
        operation = "Apply"
    elif kind == "application/merge-patch+json":
        if not former:
            raise Refused(404, "NotFound", f'jobs.batch "{name}" not found')
        checked(space, body, "V1Job", False)
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, former["metadata"]["resourceVersion"]):
            message = f'Operation cannot be fulfilled on jobs.batch "{name}": the object has been modified; please apply'
            raise Refused(409, "Conflict", message + " your changes to the latest version and try again")
        job, fields, operation = merged(copy.deepcopy(former), body), leaves(body), "Update"
    else:
        raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {kind}")
    if job != former:
        manages(space, job, manager, operation, fields)
        job = stored(space, job, former)
    return 200, job


def delete_job(space, name, options):
    job = space.jobs.get(name)
    if not job:
        raise Refused(404, "NotFound", f'jobs.batch "{name}" not found')
    policy = options.get("propagationPolicy", "Background")
    if policy not in ("Foreground", "Background", "Orphan"):
        raise Refused(422, "Invalid", f"propagationPolicy: Unsupported value: {policy}")
    if policy == "Foreground":
        job["metadata"].setdefault("deletionTimestamp", now())
        job["metadata"]["finalizers"] = ["foregroundDeletion"]
        touched(job)
        space.run(collect(space, name, job))
    else:
        del space.jobs[name]
        if policy == "Background":
            space.run(collect(space, name, job))
    return job


def pods_of(space, job):
    return [pod for pod in space.pods.values()
            if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]]


async def collect(space, name, job):
    """The garbage collector, in the foreground."""
    await asyncio.gather(*[end_pod(space, pod) for pod in pods_of(space, job)])
    if space.jobs.get(name, {}).get("metadata", {}).get("uid") == job["metadata"]["uid"]:
        del space.jobs[name]


async def end_pod(space, pod, grace=None):
    name = pod["metadata"]["name"]
    if "deletionTimestamp" not in pod["metadata"]:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        pod["metadata"].update({"deletionTimestamp": now(grace), "deletionGracePeriodSeconds": grace})
        touched(pod)
    await stop(space, name, pod["metadata"]["deletionGracePeriodSeconds"])
    space.pods.pop(name, None)


async def stop(space, name, grace):
    if processes := space.processes.pop(name, None):
        await processes.end(grace)


def finish(job, kind, reason, message):
    if not any(one["type"] in ("Failed", "Complete") for one in job["status"].get("conditions", [])):
        condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()}
        job["status"].setdefault("conditions", []).append(condition)
        job["status"]["active"] = 0
        touched(job)


async def deadline(space, name, owner):
    """Ends a Job whose time is over; there is one of these for each time that was given."""
    def left():
        job = space.jobs.get(name)
        if not job or job["metadata"]["uid"] != owner or "activeDeadlineSeconds" not in job["spec"]:
            return None
        begun = datetime.datetime.strptime(job["status"]["startTime"], "%Y-%m-%dT%H:%M:%S%z")
        return job["spec"]["activeDeadlineSeconds"] - (datetime.datetime.now(datetime.timezone.utc) - begun).total_seconds()

    if left() is not None:
        await asyncio.sleep(max(0, left()))
    if left() is None or left() > 0.5:
        return
    job = space.jobs[name]
    # The controller ends pods and Job in one step: it never takes these pods for failures.
    space.late.add(owner)
    await asyncio.gather(*[end_pod(space, pod) for pod in pods_of(space, job)])
    finish(job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


async def control(space, name, owner):
    """The Job controller: a pod for a new Job, and another one in its place if `old`."""
    job = space.jobs[name]
    job["status"].update({"startTime": now(), "active": 1})
    touched(job)
    space.run(deadline(space, name, owner))
    while space.jobs.get(name, {}).get("metadata", {}).get("uid") == owner:
        job = space.jobs[name]
        if owner in space.late or "deletionTimestamp" in job["metadata"] or any(one["type"] == "Failed" for one in job["status"].get("conditions", [])):
            return
        if why := space.settings.get("forbidden"):
            space.events.append({
                "metadata": {"name": f"{name}.{len(space.events)}", "namespace": space.name}, "type": "Warning",
                "involvedObject": {"kind": "Job", "name": name, "uid": owner}, "reason": "FailedCreate",
                "message": f"Error creating: pods \"{name}-\" is {why}", "lastTimestamp": now()})
            await asyncio.sleep(0.2)
            continue
        pods = pods_of(space, job)
        if any(pod["status"]["phase"] == "Failed" for pod in pods):
            finish(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
            return
        if not pods or all("deletionTimestamp" in pod["metadata"] for pod in pods):
            if owner in space.had:
                if not space.settings.get("old"):
                    finish(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
                    return
            space.had.add(owner)
            await begin_pod(space, job)
        await asyncio.sleep(0.05)


async def begin_pod(space, job):
    template = copy.deepcopy(job["spec"]["template"])
    name = job["metadata"]["name"] + "-" + "".join(random.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"],
             "controller": True, "blockOwnerDeletion": True}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "status": {"phase": "Pending"},
           "metadata": {**template.get("metadata", {}), "name": name, "namespace": space.name, "uid": uid(),
                        "creationTimestamp": now(), "ownerReferences": [owner]}}
    container = pod["spec"]["containers"][0]
    touched(pod)
    space.pods[name] = pod

    def condition(kind, status, reason=None, message=None):
        pod["status"].setdefault("conditions", []).append({
            "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now()})
        touched(pod)

    def container_is(state):
        pod["status"]["containerStatuses"] = [{
            "name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0,
            "ready": "running" in state, "state": state}]
        touched(pod)

    if why := space.settings.get("unplaced"):
        condition("PodScheduled", "False", "Unschedulable", why)
        return
    condition("PodScheduled", "True")
    pod["spec"]["nodeName"] = "node"
    if waiting := space.settings.get("waiting"):
        container_is({"waiting": waiting})
        return
    container_is({"waiting": {"reason": "ContainerCreating"}})
    processes = Processes(os.path.join(HOME, space.name, name), container, space.settings.get("lacks"))
    space.processes[name] = processes
    await processes.begin(container["command"])
    pod["status"].update({"phase": "Running", "startTime": now()})
    container_is({"running": {"startedAt": now()}})


async def harm(space, what, token):
    """What may become of a pod."""
    pod = next(pod for pod in space.pods.values() if pod["metadata"]["labels"].get("sky-token") == token)
    name = pod["metadata"]["name"]
    if what == "evict":
        await stop(space, name, 0)
        pod["status"].update({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})
    elif what == "oom":
        await stop(space, name, 0)
        pod["status"]["phase"] = "Failed"
        pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    elif what == "preempt":
        pod["status"].setdefault("conditions", []).append({
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for another"})
        touched(pod)
        await end_pod(space, pod)
    elif what == "delete":
        await end_pod(space, pod)
    touched(pod)


def review(body):
    """Whether whoever asks may do that: all but what the test has taken away."""
    wanted = body["spec"]["resourceAttributes"]
    space = namespaces.get(wanted["namespace"]) or Namespace(wanted["namespace"])
    checked(space, body, "V1SelfSubjectAccessReview", True)
    allowed = f'{wanted["verb"]} {wanted["resource"]}' not in space.settings.get("lacks", [])
    return {**body, "metadata": {}, "status": {"allowed": allowed}}


async def answer(method, path, query, headers, body):
    """The answer to a request, or who is to be served by exec."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "test":
        return await control_test(method, parts[1], body)
    if headers.get("authorization") == "Bearer stranger":
        raise Refused(403, "Forbidden", f'{parts[-1]} is forbidden: User "stranger" cannot {method.lower()} it')
    if headers.get("authorization") != "Bearer admin":
        raise Refused(401, "Unauthorized", "Unauthorized")
    if parts == ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] and method == "POST":
        return 201, review(body)
    rest = parts[3:] if parts[:3] == ["apis", "batch", "v1"] else parts[2:] if parts[:2] == ["api", "v1"] else []
    if len(rest) < 3 or rest[0] != "namespaces":
        raise Refused(404, "NotFound", "the server could not find the requested resource")
    space = namespaces.get(rest[1]) or Namespace(rest[1])
    resource, name, more = rest[2], rest[3] if len(rest) > 3 else None, rest[4:]
    space.asked.append({"method": method, "resource": "/".join([resource] + more), "name": name, "query": query, "body": body})
    trouble = next((one for one in space.settings.get("troubles", []) if one["method"] == method
                    and one["resource"] == "/".join([resource] + more) and one.get("times", 1) > 0), None)
    if trouble:
        trouble["times"] = trouble.get("times", 1) - 1
        if "code" in trouble:
            raise Refused(trouble["code"], trouble.get("reason", ""), trouble.get("message", ""))
    options = {**{key: query[key][0] for key in ("propagationPolicy",) if key in query}, **(body or {})}
    if method == "DELETE" and body:
        checked(space, body, "V1DeleteOptions", False)
    kind = headers.get("content-type", "").split(";")[0]
    result = None
    if resource == "jobs" and path.startswith("/apis/"):
        if method == "GET" and not name:
            result = 200, many("JobList", "batch/v1", selected(space.jobs.values(), query))
        elif method == "GET":
            if name not in space.jobs:
                raise Refused(404, "NotFound", f'jobs.batch "{name}" not found')
            result = 200, space.jobs[name]
        elif method == "POST" and not name:
            checked(space, body, "V1Job", True)
            if body["metadata"].get("name") in space.jobs:
                raise Refused(409, "AlreadyExists", f'jobs.batch "{body["metadata"]["name"]}" already exists')
            job = created(space, body, "unknown")
            manages(space, job, query.get("fieldManager", ["unknown"])[0], "Update", leaves(body))
            result = 201, job
        elif method == "PATCH":
            code, job = patch_job(space, name, body, query, kind)
            result = code, job
        elif method == "DELETE":
            result = 200, delete_job(space, name, options)
    elif resource == "pods" and path.startswith("/api/"):
        if name and name not in space.pods:
            raise Refused(404, "NotFound", f'pods "{name}" not found')
        if method == "GET" and not name:
            result = 200, many("PodList", "v1", selected(space.pods.values(), query))
        elif method == "GET" and not more:
            result = 200, space.pods[name]
        elif method == "DELETE" and not more:
            pod = space.pods[name]
            space.run(end_pod(space, pod, options.get("gracePeriodSeconds")))
            result = 200, pod
        elif method == "GET" and more == ["exec"]:
            return enter(space, name, query, headers)
    elif resource == "events" and method == "GET" and path.startswith("/api/"):
        result = 200, many("EventList", "v1", selected(space.events, query))
    if result is None:
        raise Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    return None if trouble and trouble.get("lost") else result


def enter(space, name, query, headers):
    pod = space.pods[name]
    container = query.get("container", [pod["spec"]["containers"][0]["name"]])[0]
    if not any(one["name"] == container for one in pod["spec"]["containers"]):
        raise Refused(400, "BadRequest", f"container {container} is not valid for pod {name}")
    if pod["status"]["phase"] in ("Failed", "Succeeded"):
        raise Refused(400, "BadRequest", f"cannot exec into a container in a completed pod; current phase is {pod['status']['phase']}")
    if name not in space.processes or pod["status"]["phase"] != "Running":
        raise Refused(500, "InternalError", f'container not found ("{container}")')
    if headers.get("upgrade", "").lower() != "websocket" or headers.get("sec-websocket-version") != "13":
        raise Refused(400, "BadRequest", "Upgrade request required")
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    known = [space.settings["protocol"]] if space.settings.get("protocol") else PROTOCOLS
    spoken = next((one for one in known if one in offered), None)
    if not spoken or not query.get("command") or not truth(query, "stdin"):
        raise Refused(400, "BadRequest", f"exec speaks {known}, wants a command and an input")
    return space.processes[name], query["command"], headers, spoken


async def control_test(method, name, body):
    space = namespaces.setdefault(name, Namespace(name))
    if method == "POST":
        if "do" in body:
            await harm(space, body["do"], body["token"])
        assert all(key in SETTINGS for key in body.get("settings", {})), body
        space.settings.update(body.get("settings", {}))
    return 200, {"jobs": list(space.jobs.values()), "pods": list(space.pods.values()), "asked": space.asked,
                 "wrong": space.wrong + faults}


async def connection(reader, writer):
    try:
        while line := await reader.readline():
            method, target, _ = line.decode().split(" ", 2)
            headers = {}
            while (header := (await reader.readline()).decode().strip()):
                key, _, value = header.partition(":")
                headers[key.lower()] = value.strip()
            raw = await reader.readexactly(int(headers.get("content-length", 0)))
            url = urlsplit(target)
            try:
                body = json.loads(raw) if raw else None
                result = await answer(method, url.path, parse_qs(url.query), headers, body)
            except Refused as refused:
                result = refused.code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                        "message": refused.message, "reason": refused.reason, "code": refused.code}
            if result is None:
                return
            if len(result) == 4:
                processes, command, headers, spoken = result
                return await serve(processes, command, reader, writer, headers, spoken)
            text = json.dumps(result[1]).encode()
            writer.write(f"HTTP/1.1 {result[0]} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                         .encode() + text)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    except Exception:
        faults.append(traceback.format_exc())
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1 << 22)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    ended = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    del ended
    for space in namespaces.values():
        await asyncio.gather(*[processes.end(0) for processes in space.processes.values()])
    shutil.rmtree(HOME, ignore_errors=True)
    os._exit(0)


asyncio.run(main())
