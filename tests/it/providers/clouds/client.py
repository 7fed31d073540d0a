"""Drives the Azure of the tests with Microsoft's own client: makes a machine, lists it, deletes it.

With `keep` as the third argument the machine stays.
"""

import base64
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource import ResourceManagementClient

endpoint, subscription, *more = sys.argv[1:]


class Word:
    def get_token(self, *scopes, **options):
        return AccessToken("python", int(time.time()) + 3600)


class Bearer(SansIOHTTPPolicy):
    """The client's own refuses to speak without TLS."""

    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer python"


common = {
    "base_url": endpoint,
    "authentication_policy": Bearer(),
    "polling_interval": 0,
    "retry_total": 0,
}
groups = ResourceManagementClient(Word(), subscription, api_version="2021-04-01", **common)
networks = NetworkManagementClient(Word(), subscription, **common)
machines = ComputeManagementClient(Word(), subscription, api_version="2024-07-01", **common)
types = ComputeManagementClient(Word(), subscription, api_version="2021-07-01", **common)

group, name, place = "pythons", "sky-of-python", "eastus"
tags = {"sky-token": "0123456789abcdef0123456789abcdef", "sky-lineage": "python"}
groups.resource_groups.create_or_update(group, {"location": place})
rules = networks.network_security_groups.begin_create_or_update(
    group, "sky-rules", {"location": place, "security_rules": []}
).result()
network = networks.virtual_networks.begin_create_or_update(
    group,
    "sky-network",
    {
        "location": place,
        "address_space": {"address_prefixes": ["10.0.0.0/16"]},
        "subnets": [{"name": "one", "address_prefix": "10.0.0.0/24", "network_security_group": {"id": rules.id}}],
    },
).result()

wanted = {
    "location": place,
    "tags": tags,
    "hardware_profile": {"vm_size": "Standard_B2s"},
    "storage_profile": {
        "image_reference": {
            "publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest",
        },
        "os_disk": {"name": name, "create_option": "FromImage", "delete_option": "Delete"},
    },
    "os_profile": {
        "computer_name": name,
        "admin_username": "python",
        "custom_data": base64.b64encode(b"nothing").decode(),
        "linux_configuration": {
            "disable_password_authentication": True,
            "ssh": {"public_keys": [{"path": "/home/python/.ssh/authorized_keys", "key_data": "ssh-ed25519 AAAA"}]},
        },
    },
    "network_profile": {
        "network_api_version": "2020-11-01",
        "network_interface_configurations": [
            {
                "name": name,
                "primary": True,
                "delete_option": "Delete",
                "ip_configurations": [
                    {
                        "name": "first",
                        "subnet": {"id": f"{network.id}/subnets/one"},
                        "public_ip_address_configuration": {"name": name, "delete_option": "Delete"},
                    }
                ],
            }
        ],
    },
}


def refused(status, code, call):
    try:
        call()
    except HttpResponseError as error:
        assert (error.status_code, error.error.code) == (status, code), error
    else:
        raise AssertionError(f"{code} was expected")


def create(more=None, **options):
    body = {**wanted, **(more or {})}
    return machines.virtual_machines.begin_create_or_update(group, name, body, **options).result()


refused(400, "InvalidTagNameCharacters", lambda: create({"tags": {"a/b": "c"}}))
refused(400, "InvalidParameter", lambda: create({"hardware_profile": {"vm_size": "Standard_X1"}}))
made = create()
assert made.provisioning_state == "Succeeded" and made.tags == tags, made
assert made.os_profile.custom_data is None and made.time_created is not None
if more == ["keep"]:
    print("microsoft's client gets along")
    sys.exit()
refused(412, "PreconditionFailed", lambda: create(if_none_match="*"))

seen = machines.virtual_machines.get(group, name, expand="instanceView")
assert "PowerState/running" in [status.code for status in seen.instance_view.statuses], seen
interface = networks.network_interfaces.get(group, seen.network_profile.network_interfaces[0].id.split("/")[-1])
public = networks.public_ip_addresses.get(group, interface.ip_configurations[0].public_ip_address.id.split("/")[-1])
assert public.ip_address.startswith("198.19."), public

update = {"operation": "Merge", "properties": {"tags": {"more": "x"}}}
groups.tags.update_at_scope(made.id.lstrip("/"), update)
listed = [one for one in machines.virtual_machines.list_all() if one.name == name]
assert len(listed) == 1 and listed[0].tags == {**tags, "more": "x"}, listed
sizes = [sku.name for sku in types.resource_skus.list(filter=f"location eq '{place}'")]
assert "Standard_B2s" in sizes, sizes
assert len(list(groups.resources.list_by_resource_group(group))) == 6

machines.virtual_machines.begin_delete(group, name).result()
try:
    machines.virtual_machines.get(group, name)
except ResourceNotFoundError:
    pass
else:
    raise AssertionError("it is still there")
# Its disk, its interface and its address went with it.
assert len(list(groups.resources.list_by_resource_group(group))) == 2
machines.virtual_machines.begin_delete(group, name).result()
groups.resource_groups.begin_delete(group).result()
refused(404, "ResourceNotFound", lambda: groups.resource_groups.get(group))
print("microsoft's client gets along")
