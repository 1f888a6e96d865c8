"""A SpiceDB client outside the cluster. Its connections go through the Service."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
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
    ZedToken,
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
PAUSE = 0.03
"""Seconds between two pairs of checks on a connection: often enough to see every gap, and several tests run at once."""
_ALICE = SubjectReference(object=ObjectReference(object_type="user", object_id="alice"))
_DOCUMENT = ObjectReference(object_type="document", object_id="readme")


class Client:
    """One connection to SpiceDB."""

    def __init__(self, address: str, key: str, *, ca: bytes | None = None, hostname: str = "") -> None:
        options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        if ca is None:
            self._channel = grpc.insecure_channel(address, options=options)
        else:
            # Verify the certificate for the name that clients in the cluster use.
            tls_options = [*options, ("grpc.ssl_target_name_override", hostname)]
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options=tls_options)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def write_schema(self, extra: str = "", *, text: str = SCHEMA) -> None:
        """Writes the schema, with optional extra definitions."""
        schema = WriteSchemaRequest(schema=text + extra)
        SchemaServiceStub(self._channel).WriteSchema(schema, metadata=self._metadata, timeout=10)

    def schema(self) -> str:
        """Returns the schema that the servers use."""
        answer = SchemaServiceStub(self._channel).ReadSchema(ReadSchemaRequest(), metadata=self._metadata, timeout=10)
        return str(answer.schema_text)

    def write(self) -> str:
        """Writes the schema, and a relationship that lets Alice read a document. Returns the revision."""
        self.write_schema()
        return self.write_reader(_DOCUMENT.object_id)

    def write_reader(self, document: str, *, seconds: float | None = None) -> str:
        """Writes a relationship that lets Alice read a document, for some seconds or forever. Returns the revision."""
        resource = ObjectReference(object_type="document", object_id=document)
        relationship = Relationship(resource=resource, relation="reader", subject=_ALICE)
        if seconds is not None:
            relationship.optional_expires_at.FromNanoseconds(time.time_ns() + round(seconds * 1e9))
        update = RelationshipUpdate(operation=RelationshipUpdate.OPERATION_TOUCH, relationship=relationship)
        request = WriteRelationshipsRequest(updates=[update])
        stub = PermissionsServiceStub(self._channel)
        return str(stub.WriteRelationships(request, metadata=self._metadata, timeout=10).written_at.token)

    def write_relationships(self, relationships: Sequence[Relationship]) -> None:
        """Writes many relationships."""
        stub, operation = PermissionsServiceStub(self._channel), RelationshipUpdate.OPERATION_TOUCH
        for start in range(0, len(relationships), 500):
            part = relationships[start : start + 500]
            updates = [RelationshipUpdate(operation=operation, relationship=each) for each in part]
            stub.WriteRelationships(WriteRelationshipsRequest(updates=updates), metadata=self._metadata, timeout=30)

    def check(
        self,
        document: str = _DOCUMENT.object_id,
        *,
        consistent: bool = True,
        since: str | None = None,
        at: str | None = None,
    ) -> bool:
        """Whether Alice may read a document, by the current data or, if not ``consistent``, by a recent snapshot.

        ``since`` is the revision of a write. Only with it, the answer is sure to include the write: servers share
        one answer of the database to requests for the current revision, which can be older. ``at`` is a revision too:
        the answer is by the data of then, or an error if the datastore no longer has it.
        """
        resource = ObjectReference(object_type="document", object_id=document)
        consistency = Consistency(fully_consistent=True) if consistent else Consistency(minimize_latency=True)
        if since is not None:
            consistency = Consistency(at_least_as_fresh=ZedToken(token=since))
        if at is not None:
            consistency = Consistency(at_exact_snapshot=ZedToken(token=at))
        request = CheckPermissionRequest(consistency=consistency, resource=resource, permission="read", subject=_ALICE)
        answer = PermissionsServiceStub(self._channel).CheckPermission(request, metadata=self._metadata, timeout=10)
        return bool(answer.permissionship == CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION)

    def check_many(self) -> set[bool]:
        """Checks so many documents without readers that servers that dispatch pass some on. Returns the answers."""
        return {self.check(f"document-{number}") for number in range(40)}


@define
class Load:
    """Checks permissions on several connections until the context ends. It never retries.

    Half of the checks are for new documents. No server has cached them, so servers that dispatch pass some of them on.
    If it ``writes``, it also gives some of these documents a reader, and checks that the next answer is yes.
    """

    title: str
    address: str
    key: str
    ca: bytes | None = None
    hostname: str = ""
    writes: bool = False
    pause: float = PAUSE
    """Seconds between two pairs of checks on a connection. Pause longer if there is no change that could cause gaps."""
    checks: int = 0
    failures: list[str] = field(factory=list)
    longest_gap: float = 0
    """Longest time without an answer on one connection, in seconds."""
    _start: float = 0
    _stopped: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def __enter__(self) -> Load:
        self._start = time.monotonic()
        self._threads = [threading.Thread(target=self._check_until_stopped) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        seconds = time.monotonic() - self._start
        for thread in self._threads:
            thread.join()
        figures = f"{self.checks} checks, {len(self.failures)} failed, longest gap {self.longest_gap:.2f} s"
        print(f"{self.title}: {seconds:.1f} s, {figures}")

    def succeeded(self) -> bool:
        """Whether there were enough checks. Raises an error if one of them failed."""
        assert self.failures == [], f"{self.title}: {self.failures[:3]}"
        return self.checks > 50

    def _check_until_stopped(self) -> None:
        client, last = Client(self.address, self.key, ca=self.ca, hostname=self.hostname), time.monotonic()
        while not self._stopped.is_set():
            try:
                document = f"document-{uuid.uuid4()}"
                answers = {"without a reader": not client.check(document), "with a reader": client.check()}
                if self.writes and self.checks % 10 == 0:
                    written = client.write_reader(document)
                    answers["after a write"] = client.check(document, since=written)
                wrong = [name for name, right in answers.items() if not right]
                after = f"{time.monotonic() - self._start:.1f} s"
                failure = f"wrong answer after {after}: {', '.join(wrong)}" if wrong else None
            except grpc.RpcError as error:
                failure = str(error)
            now = time.monotonic()
            if failure is None:
                self.checks += 2
                self.longest_gap, last = max(self.longest_gap, now - last), now
            else:
                self.failures.append(failure)
            time.sleep(self.pause)


# The last `cat` reads unread data. Without it, closing the connection resets it, and a reset ends the port-forward.
# Busybox has tcpsvd or, in Debian's build, an nc that takes its backlog from the number of its l options.
_RELAY = """
each='nc {service} {port}; timeout 0.3 cat > /dev/null'
if command -v tcpsvd > /dev/null; then exec tcpsvd -b 64 -c 64 0 50051 sh -c "$each"; fi
exec nc -llllllllllllllll -p 50051 -e sh -c "$each"
"""


@contextmanager
def relay(
    namespace: Namespace, service: str = "spicedb", port: int = 50051, *, node: str | None = None
) -> Iterator[str]:
    """An address outside the cluster. Each connection to it is forwarded as a new connection through the Service.

    A port-forward ends with its pod. So it goes to a separate pod, which no release changes. ``service`` may also be
    the address of a pod, and ``node`` is the node of the separate pod.
    """
    name = f"relay-{service}"
    container = {
        "name": "relay",
        "image": "docker.io/library/busybox:1.37",
        "command": ["sh", "-c", _RELAY.format(service=service, port=port)],
        "securityContext": RESTRICTED_CONTAINER,
        "startupProbe": {"tcpSocket": {"port": 50051}, "periodSeconds": 1, "failureThreshold": 30},
    }
    spec = {
        "nodeName": node,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
        "containers": [container],
    }
    namespace.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    )
    namespace.wait_until_ready(f"app={name}")
    with namespace.forward(name, 50051) as address:
        yield address
    namespace.kubectl("delete", "pod", name, "--wait=false")
