"""Prints, as JSON, what Microsoft's Python clients know of the bodies that Azure takes and gives."""

import importlib
import json
import re

# API by API: the client's models, and those that requests and answers are made of.
ROOTS = {
    "compute": ("azure.mgmt.compute.v2024_07_01", ["ListUsagesResult", "VirtualMachine", "VirtualMachineListResult"]),
    "skus": ("azure.mgmt.compute.v2021_07_01", ["ResourceSkusResult"]),
    "network": (
        "azure.mgmt.network",
        ["NetworkInterface", "NetworkSecurityGroup", "PublicIPAddress", "VirtualNetwork"],
    ),
    "resources": (
        "azure.mgmt.resource.resources.v2021_04_01",
        ["ResourceGroup", "ResourceListResult", "TagsPatchResource", "TagsResource"],
    ),
}


def values(models, cls, name):
    """The known values of a field, which only the words about it name."""
    found = re.search(rf":vartype {name}:\s+str\s+or\s+~[\w.]+\.(\w+)", cls.__doc__ or "")
    enum = found and getattr(models, found.group(1), None)
    return sorted(one.value for one in enum) if enum else None


def describe(api, models, cls, waiting):
    fields = {}
    for name, known in cls._attribute_map.items():
        rules = getattr(cls, "_validation", {}).get(name, {})
        kind = re.sub(r"[A-Z]\w+", lambda part: f"{api}.{part.group()}", known["type"])
        waiting += re.findall(r"[A-Z]\w+", known["type"])
        field = {"type": kind}
        for rule in ("readonly", "required"):
            if rules.get(rule):
                field[rule] = True
        # There are more types of machines than any client knows.
        enum = values(models, cls, name) if known["type"] == "str" and name != "vm_size" else None
        if enum:
            field["enum"] = enum
        # `properties.x` lies inside of `properties`.
        path = [part.replace("\0", ".") for part in known["key"].replace("\\.", "\0").split(".")]
        place = fields
        for part in path[:-1]:
            place = place.setdefault(part, {"fields": {}})["fields"]
        place[path[-1]] = field
    return {"fields": fields}


def main():
    described = {}
    for api, (package, roots) in ROOTS.items():
        models = importlib.import_module(f"{package}.models")
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            cls = getattr(models, name, None)
            if cls is not None and f"{api}.{name}" not in described and hasattr(cls, "_attribute_map"):
                described[f"{api}.{name}"] = describe(api, models, cls, waiting)
    print(json.dumps(described, sort_keys=True))


main()
