"""Drives a cluster by Kubernetes' own client for Python: a Job, its pod, a command in it, its end.

Usage: cluster_drive.py KUBECONFIG. Fails if the cluster is not what that client takes it for.
"""

import sys
import time

from kubernetes import client, config
from kubernetes.stream import stream

config.load_kube_config(sys.argv[1])
namespace = config.list_kube_config_contexts(sys.argv[1])[1]["context"]["namespace"]
batch, core = client.BatchV1Api(), client.CoreV1Api()


def until(what, found):
    for _ in range(1200):
        if result := found():
            return result
        time.sleep(0.05)
    raise SystemExit(f"{what} did not come")


container = client.V1Container(name="c", image="i", command=["/bin/sh", "-c", "while :; do sleep 1; done"])
pod = client.V1PodSpec(containers=[container], restart_policy="Never", termination_grace_period_seconds=0)
job = client.V1Job(
    api_version="batch/v1", kind="Job", metadata=client.V1ObjectMeta(name="other", labels={"a": "b"}),
    spec=client.V1JobSpec(backoff_limit=0, template=client.V1PodTemplateSpec(spec=pod)))
assert batch.create_namespaced_job(namespace, job).metadata.uid
try:
    batch.create_namespaced_job(namespace, job)
    raise SystemExit("there are two of them")
except client.ApiException as error:
    assert (error.status, "AlreadyExists" in error.body) == (409, True), error
assert [one.metadata.name for one in batch.list_namespaced_job(namespace, label_selector="a=b").items] == ["other"]
running = until("the pod", lambda: [
    one for one in core.list_namespaced_pod(namespace, label_selector="job-name=other").items if one.status.phase == "Running"])
name = running[0].metadata.name
said = stream(core.connect_get_namespaced_pod_exec, name, namespace, command=["/bin/sh", "-c", "echo $$; cat; exit 3"],
              stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
said.write_stdin("hello\n")
until("the answer", lambda: said.update(timeout=1) or "hello" in said.peek_stdout())
said.close()
assert batch.read_namespaced_job("other", namespace).status.active == 1
batch.delete_namespaced_job("other", namespace, propagation_policy="Foreground")
until("the end", lambda: not core.list_namespaced_pod(namespace).items and not batch.list_namespaced_job(namespace).items)
try:
    batch.read_namespaced_job("other", namespace)
    raise SystemExit("it is still there")
except client.ApiException as error:
    assert error.status == 404, error
print("fine")
