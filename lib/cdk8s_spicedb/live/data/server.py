"""A SpiceDB as its clients see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import grpc
from attrs import frozen
from authzed.api.v1 import (
    Consistency,
    Cursor,
    LookupResourcesRequest,
    LookupSubjectsRequest,
    ObjectReference,
    ReadRelationshipsRequest,
    ReadSchemaRequest,
    Relationship,
    RelationshipFilter,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
    WriteSchemaRequest,
    ZedToken,
)
from authzed.api.v1.permission_service_pb2 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsResponse,
    ExportBulkRelationshipsRequest,
    ExportBulkRelationshipsResponse,
    ImportBulkRelationshipsRequest,
    ImportBulkRelationshipsResponse,
)
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub

from ...errors import SpiceDBError
from ..poll import CLOCK, Clock

T = TypeVar("T")
_PAUSES = (0.1, 0.5, 1, 2, 5, 5, 5)
_TOO_LARGE = "message larger than max"
FOR_A_MOMENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_SECONDS, _LOOKUP_SECONDS = 60, 5
"""How long a request may take, apart from those that transfer relationships."""

_WRONG_KEY = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
_OTHER_KEY = (
    "the servers have another preshared key than the Secret or SPICEDB_TOKEN: correct it, or restart the servers if "
    "the Secret has changed since they started"
)


class RequestError(SpiceDBError):
    """A SpiceDB refused a request, or did not answer."""

    def __init__(self, name: str, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.unanswered = self.code in (*_WRONG_KEY, *FOR_A_MOMENT, grpc.StatusCode.DEADLINE_EXCEEDED)
        fix = f"; {_OTHER_KEY}" if self.code in _WRONG_KEY else ""
        super().__init__(f"{name}: {self.code.name}: {' '.join((error.details() or '').split())}{fix}")


@frozen
class Page:
    """Relationships of one answer, and where the next one begins."""

    relationships: Sequence[Relationship]
    cursor: str


@frozen
class Trust:
    """How to verify the certificate of a server."""

    ca: bytes | None
    """The CA certificates (PEM). None: those that gRPC brings."""
    hostname: str = ""
    """The name that the certificate must contain. Empty: that of the address."""


@frozen
class Found:
    """What a lookup found."""

    ids: frozenset[str]
    whole: bool
    """Whether these are all. If not, there are more, or the server needed too long."""


@frozen
class Older:
    """Requests under the names that they had before SpiceDB v1.31. Their messages are the same."""

    export: Any
    load: Any

    @classmethod
    def of(cls, channel: grpc.Channel) -> Older:
        """The requests of a connection."""
        service = "/authzed.api.v1.ExperimentalService"
        export, load = f"{service}/BulkExportRelationships", f"{service}/BulkImportRelationships"
        asked, loaded = ExportBulkRelationshipsRequest, ImportBulkRelationshipsRequest
        return cls(
            channel.unary_stream(export, asked.SerializeToString, ExportBulkRelationshipsResponse.FromString),
            channel.stream_unary(load, loaded.SerializeToString, ImportBulkRelationshipsResponse.FromString),
        )


@frozen
class Server:
    """A connection to a SpiceDB."""

    name: str
    """How it is called in messages, and recognized when a backup goes on."""
    permissions: PermissionsServiceStub
    """Requests about relationships and permissions."""
    schemas: SchemaServiceStub
    """Requests about the SpiceDB schema."""
    older: Older
    """Requests under older names."""
    metadata: Sequence[tuple[str, str]]
    """Metadata of each request, with the preshared key."""
    clock: Clock = CLOCK
    """The time for everything that waits."""
    pauses: Sequence[float] = _PAUSES
    """Seconds before each new attempt of a request that failed for a moment."""

    @classmethod
    def connect(cls, address: str, key: str, *, name: str = "", trust: Trust | None = None) -> Server:
        """Connects with the preshared key, and with TLS if ``trust`` says how to verify the server's certificate.

        ``name`` defaults to the address.
        """
        options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", -1), ("grpc.keepalive_time_ms", 30_000)]
        if trust is None:
            channel = grpc.insecure_channel(address, options=options)
        else:
            names = [("grpc.ssl_target_name_override", trust.hostname)] if trust.hostname else []
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(trust.ca), options=[*options, *names])
        metadata = (("authorization", f"Bearer {key}"),)
        return cls(
            name or address, PermissionsServiceStub(channel), SchemaServiceStub(channel), Older.of(channel), metadata
        )

    def schema(self) -> tuple[str, str]:
        """The SpiceDB schema and the ZedToken at which it was read. Both are empty if there is no schema yet."""
        try:
            answer = self.ask(lambda: self.schemas.ReadSchema(ReadSchemaRequest(), **self._options(_SECONDS)))
        except RequestError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return "", ""
            raise
        return answer.schema_text, answer.read_at.token

    def write_schema(self, text: str) -> None:
        """Writes the SpiceDB schema."""
        self.ask(lambda: self.schemas.WriteSchema(WriteSchemaRequest(schema=text), **self._options(_SECONDS)))

    def export(self, token: str, cursor: str = "") -> Iterator[Page]:
        """All relationships at the revision of a ZedToken, or those after a cursor. An empty token means: now.

        Goes on where it was if the connection breaks.
        """
        attempts, export = list(self.pauses), self.permissions.ExportBulkRelationships
        while True:
            try:
                for answer in export(_asked(token, cursor), **self._options(None)):
                    cursor, attempts = answer.after_result_cursor.token, list(self.pauses)
                    yield Page(answer.relationships, cursor)
                return
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED and export is not self.older.export:
                    export = self.older.export
                elif error.code() in FOR_A_MOMENT and attempts:
                    self.clock.sleep(attempts.pop(0))
                else:
                    raise RequestError(self.name, error) from None

    def load(self, batches: Sequence[Sequence[Relationship]]) -> int:
        """Writes relationships in one transaction. Returns their number. Fails if one of them exists."""
        for load in (self.permissions.ImportBulkRelationships, self.older.load):
            requests = (ImportBulkRelationshipsRequest(relationships=batch) for batch in batches)
            try:
                return int(load(requests, **self._options(None)).num_loaded)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED or load is self.older.load:
                    raise RequestError(self.name, error) from None
        raise AssertionError("not reached")

    def touch(self, relationships: Sequence[Relationship]) -> None:
        """Writes relationships, whether or not they exist."""
        touch = RelationshipUpdate.OPERATION_TOUCH
        updates = [RelationshipUpdate(operation=touch, relationship=each) for each in relationships]
        request = WriteRelationshipsRequest(updates=updates)
        self.ask(lambda: self.permissions.WriteRelationships(request, **self._options(_SECONDS)))

    def subjects(self, resource: ObjectReference, permission: str, kind: str, token: str, most: int) -> Found:
        """The ids of subjects of a type that have a permission, at the revision of a ZedToken."""
        request = LookupSubjectsRequest(
            consistency=_at(token), resource=resource, permission=permission, subject_object_type=kind
        )
        answers = self.permissions.LookupSubjects(request, **self._options(_LOOKUP_SECONDS))
        return _found(answers, lambda answer: str(answer.subject.subject_object_id), most)

    def resources(self, kind: str, permission: str, subject: SubjectReference, token: str, most: int) -> Found:
        """The ids of resources of a type on which a subject has a permission, at the revision of a ZedToken."""
        request = LookupResourcesRequest(
            consistency=_at(token), resource_object_type=kind, permission=permission, subject=subject
        )
        answers = self.permissions.LookupResources(request, **self._options(_LOOKUP_SECONDS))
        return _found(answers, lambda answer: str(answer.resource_object_id), most)

    def read(self, kind: str, relation: str, token: str, most: int) -> list[Relationship]:
        """The first relationships of a relation, at the revision of a ZedToken."""
        chosen = RelationshipFilter(resource_type=kind, optional_relation=relation)
        # Without a limit in the request: each server has a maximum of its own for that.
        request = ReadRelationshipsRequest(consistency=_at(token), relationship_filter=chosen)

        def ask() -> list[Relationship]:
            answers = self.permissions.ReadRelationships(request, **self._options(_SECONDS))
            try:
                return [each.relationship for each in islice(answers, most)]
            finally:
                answers.cancel()

        return self.ask(ask)

    def check(self, request: CheckBulkPermissionsRequest) -> CheckBulkPermissionsResponse:
        """The answers to several questions."""
        return self.ask(lambda: self.permissions.CheckBulkPermissions(request, **self._options(_SECONDS)))

    def ask(self, request: Callable[[], T]) -> T:
        """The answer to a request, which is repeated while it fails for a moment."""
        attempts = list(self.pauses)
        while True:
            try:
                return request()
            except grpc.RpcError as error:
                if error.code() not in FOR_A_MOMENT or _TOO_LARGE in (error.details() or "") or not attempts:
                    raise RequestError(self.name, error) from None
                self.clock.sleep(attempts.pop(0))

    def _options(self, seconds: float | None) -> dict[str, Any]:
        return {"metadata": self.metadata, "timeout": seconds}


def _asked(token: str, cursor: str) -> ExportBulkRelationshipsRequest:
    if cursor:  # It contains the revision.
        return ExportBulkRelationshipsRequest(optional_cursor=Cursor(token=cursor))
    return ExportBulkRelationshipsRequest(consistency=_at(token))


def _at(token: str) -> Consistency:
    return Consistency(at_exact_snapshot=ZedToken(token=token)) if token else Consistency(fully_consistent=True)


def _found(answers: Any, pick: Callable[[Any], str], most: int) -> Found:
    """The first answers of a lookup. ``answers`` is a call of gRPC."""
    ids = set[str]()
    try:
        for answer in answers:
            if len(ids) == most:
                return Found(frozenset(ids), whole=False)
            ids.add(pick(answer))
    except grpc.RpcError:
        return Found(frozenset(ids), whole=False)
    finally:
        answers.cancel()
    return Found(frozenset(ids), whole=True)
