"""What Kubernetes' own client for Python knows of its API: bodies are checked by its models."""

import re

from kubernetes import client

LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(r"(([a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?")
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}


def check(value, kind, path, wrong, whole=True):
    """What the client makes of it; adds to `wrong` what is not as the schema has it. A whole object has all that
    it must."""
    if value is None:
        return None
    if kind == "object":
        return value
    if kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            wrong.append(f"{path}: {value!r} is no {kind}")
        return value
    inner = re.fullmatch(r"list\[(.*)\]", kind)
    if inner:
        if not isinstance(value, list):
            wrong.append(f"{path}: it is no list")
            return None
        return [check(one, inner[1], f"{path}[{at}]", wrong, whole) for at, one in enumerate(value)]
    inner = re.fullmatch(r"dict\((?:str|string), (.*)\)", kind)
    if not isinstance(value, dict):
        wrong.append(f"{path}: it is no object")
        return None
    if inner:
        return {key: check(one, inner[1], f"{path}.{key}", wrong, whole) for key, one in value.items()}
    model = getattr(client, kind)
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    fields = {}
    for key, one in value.items():
        if key not in names:
            wrong.append(f'{path}: unknown field "{key}"')
            continue
        fields[names[key]] = check(one, model.openapi_types[names[key]], f"{path}.{key}", wrong, whole)
    if whole:
        try:
            return model(**fields)
        except ValueError as error:
            wrong.append(f"{path}: {error}")
    return fields


def sound(job):
    """What the API server asks of a Job beyond its schema."""
    wrong = []
    metadata, spec = job["metadata"], job["spec"]
    if not NAME.fullmatch(metadata.get("name", "")):
        wrong.append("metadata.name: it is no label of RFC 1123")
    template = spec["template"]
    for what in (metadata, template.get("metadata", {})):
        for key, value in what.get("labels", {}).items():
            if not KEY.fullmatch(key) or not LABEL.fullmatch(value):
                wrong.append(f"metadata.labels: {key}={value} is no label")
        for key in what.get("annotations", {}):
            if not KEY.fullmatch(key):
                wrong.append(f"metadata.annotations: {key} is no key")
    for key in ("activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"):
        if key in spec and not 0 <= spec[key] < 2**31:
            wrong.append(f"spec.{key}: {spec[key]} is out of range")
    pod = template["spec"]
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        wrong.append("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for key, value in pod.get("nodeSelector", {}).items():
        if not KEY.fullmatch(key) or not LABEL.fullmatch(value):
            wrong.append(f"nodeSelector: {key}={value} is no label")
    for toleration in pod.get("tolerations", []):
        if toleration.get("operator") not in (None, "Exists", "Equal") or not KEY.fullmatch(toleration.get("key", "a")):
            wrong.append(f"tolerations: {toleration}")
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                wrong.append(f"volumeMounts: Not found: {mount['name']}")
        resources = container.get("resources", {})
        for amounts in resources.values():
            for key, amount in amounts.items():
                if not QUANTITY.fullmatch(amount):
                    wrong.append(f"resources: {key}: {amount} is no quantity")
                if "/" in key and resources.get("limits", {}).get(key) != resources.get("requests", {}).get(key):
                    wrong.append(f"resources: {key}: must be equal to limit")
    return wrong
