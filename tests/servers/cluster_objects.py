"""Objects of the cluster for tests: versions, patches, who owns which field, selectors."""

import datetime
import random

version = 100


def now(after=0):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=after)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def touched(thing):
    global version
    version += 1
    thing["metadata"]["resourceVersion"] = str(version)


def truth(query, name):
    """As Go reads it."""
    return query.get(name, [""])[0] in ("1", "t", "T", "true", "True", "TRUE")


def uid():
    text = "%032x" % random.getrandbits(128)
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def merged(old, new):
    """A JSON merge patch."""
    if not isinstance(new, dict):
        return new
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def leaves(value, path=()):
    """What a manager owns of an object; lists are taken as one."""
    if isinstance(value, dict) and value:
        return {leaf: one for key, part in value.items() for leaf, one in leaves(part, path + (key,)).items()}
    return {path: value}


def without(thing, path):
    parents = [thing]
    for key in path[:-1]:
        if not isinstance(parents[-1].get(key), dict):
            return
        parents.append(parents[-1][key])
    parents[-1].pop(path[-1], None)


def selected(things, query):
    for text in query.get("labelSelector", []):
        for part in text.split(","):
            key, _, value = part.partition("=")
            things = [one for one in things if one["metadata"].get("labels", {}).get(key) == value.lstrip("=")]
    for text in query.get("fieldSelector", []):
        path, _, value = text.partition("=")
        assert path == "involvedObject.uid", path
        things = [one for one in things if one["involvedObject"]["uid"] == value]
    return things


def many(kind, api, things):
    return {"kind": kind, "apiVersion": api, "metadata": {"resourceVersion": str(version)}, "items": list(things)}
