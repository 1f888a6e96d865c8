"""A real client of SpiceDB, outside the cluster, whose connections go through the Service."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from attrs import define, field
from authzed.api.v1 import (
    CheckPermissionRequest,
    CheckPermissionResponse,
    Consistency,
    ObjectReference,
    ReadSchemaRequest,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
    WriteSchemaRequest,
)
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub

from .cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace

SCHEMA = """
definition user {}
definition document {
    relation reader: user
    permission read = reader
}
"""
CONNECTIONS = 8
_ALICE = SubjectReference(object=ObjectReference(object_type="user", object_id="alice"))
_DOCUMENT = ObjectReference(object_type="document", object_id="readme")


class Client:
    """One connection to SpiceDB."""

    def __init__(self, address: str, key: str, *, ca: bytes | None = None, name: str = "") -> None:
        own: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        if ca is None:
            self._channel = grpc.insecure_channel(address, options=own)
        else:
            # The certificate is checked for the name that clients in the cluster use.
            named = [*own, ("grpc.ssl_target_name_override", name)]
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options=named)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def write_schema(self, more: str = "") -> None:
        """Writes the schema, with more definitions or without."""
        schema = WriteSchemaRequest(schema=SCHEMA + more)
        SchemaServiceStub(self._channel).WriteSchema(schema, metadata=self._metadata, timeout=10)

    def schema(self) -> str:
        """The schema that servers have."""
        answer = SchemaServiceStub(self._channel).ReadSchema(ReadSchemaRequest(), metadata=self._metadata, timeout=10)
        return str(answer.schema_text)

    def write(self) -> None:
        """Writes a schema and lets Alice read a document."""
        self.write_schema()
        reads = Relationship(resource=_DOCUMENT, relation="reader", subject=_ALICE)
        update = RelationshipUpdate(operation=RelationshipUpdate.OPERATION_TOUCH, relationship=reads)
        request = WriteRelationshipsRequest(updates=[update])
        PermissionsServiceStub(self._channel).WriteRelationships(request, metadata=self._metadata, timeout=10)

    def check(self, document: str = _DOCUMENT.object_id, *, consistent: bool = True) -> bool:
        """Whether Alice may read a document, by what is in the database now, or was a moment ago."""
        resource = ObjectReference(object_type="document", object_id=document)
        consistency = Consistency(fully_consistent=True) if consistent else Consistency(minimize_latency=True)
        request = CheckPermissionRequest(consistency=consistency, resource=resource, permission="read", subject=_ALICE)
        answer = PermissionsServiceStub(self._channel).CheckPermission(request, metadata=self._metadata, timeout=10)
        return bool(answer.permissionship == CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION)

    def check_many(self) -> set[bool]:
        """The answers about so many documents without readers that some are another server's to check."""
        return {self.check(f"document-{number}") for number in range(40)}


@define
class Load:
    """Checks made all the time, on several connections, until it is stopped; nothing is tried again.

    Every other one is of a document that nobody asked for before: no server remembers it, and some have to ask others.
    """

    what: str
    address: str
    key: str
    ca: bytes | None = None
    name: str = ""
    checks: int = 0
    failures: list[str] = field(factory=list)
    longest_gap: float = 0
    """The longest time in which one connection had no answer, in seconds."""
    _start: float = 0
    _stopped: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def __enter__(self) -> Load:
        self._start = time.monotonic()
        self._threads = [threading.Thread(target=self._check_on) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        seconds = time.monotonic() - self._start
        for thread in self._threads:
            thread.join()
        figures = f"{self.checks} checks, {len(self.failures)} failed, longest gap {self.longest_gap:.2f} s"
        print(f"{self.what}: {seconds:.1f} s, {figures}")

    def unharmed(self) -> bool:
        """Whether there were checks, and each was answered with yes."""
        assert self.failures == [], self.what
        return self.checks > 50

    def _check_on(self) -> None:
        client, last = Client(self.address, self.key, ca=self.ca, name=self.name), time.monotonic()
        while not self._stopped.is_set():
            try:
                denied, granted = client.check(f"document-{uuid.uuid4()}"), client.check()
                failure = None if granted and not denied else f"granted: {granted}, and of nothing: {denied}"
            except grpc.RpcError as error:
                failure = str(error)
            now = time.monotonic()
            if failure is None:
                self.checks += 2
                self.longest_gap, last = max(self.longest_gap, now - last), now
            else:
                self.failures.append(failure)
            time.sleep(0.01)


# What is left unread is read before a connection closes: to close it unread is a reset, and that ends a port-forward.
# Busybox has tcpsvd, or, in Debian's build, an nc whose backlog is the number of its l.
_RELAY = """
each='nc {service} 50051; timeout 0.3 cat > /dev/null'
if command -v tcpsvd > /dev/null; then exec tcpsvd -b 64 -c 64 0 50051 sh -c "$each"; fi
exec nc -llllllllllllllll -p 50051 -e sh -c "$each"
"""


@contextmanager
def relay(namespace: Namespace, service: str = "spicedb") -> Iterator[str]:
    """An address outside the cluster, each connection to which is a new one through the Service.

    A port-forward ends with its pod, so it goes to a pod that no release touches, which passes connections on.
    """
    name = f"relay-{service}"
    container = {
        "name": "relay",
        "image": "docker.io/library/busybox:1.37",
        "command": ["sh", "-c", _RELAY.format(service=service)],
        "securityContext": RESTRICTED_CONTAINER,
        "startupProbe": {"tcpSocket": {"port": 50051}, "periodSeconds": 1, "failureThreshold": 30},
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
        "containers": [container],
    }
    namespace.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    )
    namespace.ready(f"app={name}")
    with namespace.forward(name, 50051) as address:
        yield address
    namespace.kubectl("delete", "pod", name, "--wait=false")
