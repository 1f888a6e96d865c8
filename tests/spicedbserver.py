"""A SpiceDB in memory that speaks gRPC, for tests of what copies and asks SpiceDBs.

It knows SpiceDB's requests by itself, from its API. It must not use functions of the package. It keeps relationships as
text, and each write makes a revision that stays readable until `forget` is called. A permission is granted if its name
is that of a relation, or ``read``, and the relationship exists.

    with SpiceDBServer() as spicedb:
        spicedb.put("document:readme#reader@user:alice")
        spicedb.fail("ExportBulkRelationships", StatusCode.UNAVAILABLE, after=1)
        Server.connect(spicedb.address, "key")
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import grpc
from attrs import define, field
from authzed.api.v1 import (
    CheckPermissionResponse,
    Cursor,
    LookupResourcesResponse,
    LookupSubjectsResponse,
    ObjectReference,
    ReadRelationshipsResponse,
    ReadSchemaResponse,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsResponse,
    WriteSchemaResponse,
    ZedToken,
)
from authzed.api.v1 import experimental_service_pb2 as older
from authzed.api.v1.permission_service_pb2 import (
    CheckBulkPermissionsPair,
    CheckBulkPermissionsResponse,
    CheckBulkPermissionsResponseItem,
    ExportBulkRelationshipsResponse,
    ImportBulkRelationshipsResponse,
    ResolvedSubject,
)
from authzed.api.v1.permission_service_pb2_grpc import (
    PermissionsServiceServicer,
    add_PermissionsServiceServicer_to_server,
)
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceServicer, add_SchemaServiceServicer_to_server

KEY = "a preshared key"
_RELATIONSHIP = re.compile(
    r"(?P<kind>[\w/]+):(?P<id>[^#]+)#(?P<relation>\w+)@(?P<subject>[\w/]+):(?P<who>[^#\[]+)(#(?P<members>\w+))?"
    r"(\[(?P<caveat>\w+)(:(?P<context>\{.*\}))?\])?(\[expiration:(?P<expiration>[^\]]+)\])?"
)


def relationship(text: str) -> Relationship:
    """A relationship as zed writes it."""
    found = _RELATIONSHIP.fullmatch(text)
    assert found, text
    made = Relationship(
        resource=ObjectReference(object_type=found["kind"], object_id=found["id"]),
        relation=found["relation"],
        subject=SubjectReference(
            object=ObjectReference(object_type=found["subject"], object_id=found["who"]),
            optional_relation=found["members"] or "",
        ),
    )
    if found["caveat"]:
        made.optional_caveat.caveat_name = found["caveat"]
        if found["context"]:
            made.optional_caveat.context.update(json.loads(found["context"]))
    if found["expiration"]:
        made.optional_expires_at.FromDatetime(datetime.fromisoformat(found["expiration"].replace("Z", "+00:00")))
    return made


@define
class _Fault:
    code: grpc.StatusCode
    after: int
    times: int
    done: bool


# Their types demand every request.
_Permissions: Any = PermissionsServiceServicer
_Schemas: Any = SchemaServiceServicer


@define
class SpiceDBServer(_Permissions, _Schemas):  # type: ignore[misc]
    """The server. It listens while its context is open."""

    schema: str = ""
    page: int = 3
    """Relationships in one message of an export."""
    only_older: bool = False
    """Whether bulk requests have only the names that they had before v1.31."""
    address: str = ""
    asked: list[str] = field(factory=list)
    """The names of the requests."""
    looked_up: dict[tuple[str, str], list[str]] = field(factory=dict)
    """The ids that lookups find: of subjects, by ``document:1#read`` and their type; of resources, by ``user:1`` and
    ``document#read``."""
    credentials: Any = None
    """Credentials of gRPC with which the server uses TLS."""
    _revisions: list[dict[bytes, Relationship]] = field(factory=lambda: [{}])
    _forgotten: int = 0
    _faults: dict[str, _Fault] = field(factory=dict)
    _server: Any = None

    def __enter__(self) -> SpiceDBServer:
        self._server = grpc.server(ThreadPoolExecutor(4))
        add_PermissionsServiceServicer_to_server(self, self._server)
        add_SchemaServiceServicer_to_server(self, self._server)
        self._server.add_generic_rpc_handlers((_older(self),))
        place, tls = "127.0.0.1:0", self.credentials
        port = self._server.add_secure_port(place, tls) if tls else self._server.add_insecure_port(place)
        self.address = f"127.0.0.1:{port}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)

    # -------------------------------------------------------- states

    def put(self, *texts: str) -> None:
        """Writes relationships."""
        self._write(map(relationship, texts))

    def texts(self) -> set[bytes]:
        """What is there now."""
        return {*self._revisions[-1]}

    def clear(self) -> None:
        """Makes it one without a schema and relationships."""
        self.schema, self._revisions, self._forgotten = "", [{}], 0

    def forget(self) -> None:
        """Collects the data of older revisions."""
        self._forgotten = len(self._revisions) - 1

    def fail(self, request: str, code: grpc.StatusCode, *, after: int = 0, times: int = 1, done: bool = False) -> None:
        """Lets a request fail, after so many messages of a stream, or after it is ``done``."""
        self._faults[request] = _Fault(code, after, times, done)

    # -------------------------------------------------------- requests

    def ReadSchema(self, _: Any, context: Any) -> Any:
        self._begin("ReadSchema", context)
        if not self.schema:
            context.abort(grpc.StatusCode.NOT_FOUND, "No schema has been defined; please call WriteSchema to start")
        return ReadSchemaResponse(schema_text=self.schema, read_at=ZedToken(token=str(len(self._revisions) - 1)))

    def WriteSchema(self, request: Any, context: Any) -> Any:
        self._begin("WriteSchema", context)
        if "wrong" in request.schema:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "parse error in `schema`")
        self.schema = request.schema
        return WriteSchemaResponse()

    def ExportBulkRelationships(self, request: Any, context: Any) -> Iterator[Any]:
        self._require_newer(context)
        yield from self.export(request, context)

    def export(self, request: Any, context: Any) -> Iterator[Any]:
        fault = self._begin("ExportBulkRelationships", context)
        token, _, place = (request.optional_cursor.token or f"{self._revision(request.consistency)}:").partition(":")
        number = int(token)
        if number < self._forgotten:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "the specified revision is stale")
        now = datetime.now(timezone.utc)
        found = [each for _, each in sorted(self._revisions[number].items()) if _lasts(each, now)]
        for sent, start in enumerate(range(int(place or 0), len(found), self.page)):
            if fault and sent >= fault.after:
                context.abort(fault.code, "the connection broke")
            page = found[start : start + self.page]
            cursor = Cursor(token=f"{number}:{start + len(page)}")
            yield ExportBulkRelationshipsResponse(relationships=page, after_result_cursor=cursor)

    def ImportBulkRelationships(self, requests: Iterable[Any], context: Any) -> Any:
        self._require_newer(context)
        return self.load(requests, context)

    def load(self, requests: Iterable[Any], context: Any) -> Any:
        fault = self._begin("ImportBulkRelationships", context)
        given = [each for request in requests for each in request.relationships]
        if {each.SerializeToString(deterministic=True) for each in given} & self.texts():
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "a relationship exists")
        self._write(given)
        if fault:
            context.abort(fault.code, "the answer was lost")
        return ImportBulkRelationshipsResponse(num_loaded=len(given))

    def WriteRelationships(self, request: Any, context: Any) -> Any:
        self._begin("WriteRelationships", context)
        assert all(each.operation == RelationshipUpdate.OPERATION_TOUCH for each in request.updates)
        self._write(each.relationship for each in request.updates)
        return WriteRelationshipsResponse()

    def ReadRelationships(self, request: Any, context: Any) -> Iterator[Any]:
        self._begin("ReadRelationships", context)
        held, wanted = self._revisions[self._revision(request.consistency)], request.relationship_filter
        of_kind = [each for each in held.values() if each.resource.object_type == wanted.resource_type]
        found = [each for each in of_kind if wanted.optional_relation in ("", each.relation)]
        if request.optional_limit > 1000:  # The default of `--max-read-relationships-limit`.
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "provided limit is greater than maximum allowed of 1000")
        for each in found[: request.optional_limit or None]:
            yield ReadRelationshipsResponse(relationship=each)

    def LookupSubjects(self, request: Any, context: Any) -> Iterator[Any]:
        self._begin("LookupSubjects", context)
        name = f"{request.resource.object_type}:{request.resource.object_id}#{request.permission}"
        for subject in self.looked_up.get((name, request.subject_object_type), ()):
            yield LookupSubjectsResponse(subject=ResolvedSubject(subject_object_id=subject))

    def LookupResources(self, request: Any, context: Any) -> Iterator[Any]:
        self._begin("LookupResources", context)
        subject = f"{request.subject.object.object_type}:{request.subject.object.object_id}"
        for resource in self.looked_up.get((subject, f"{request.resource_object_type}#{request.permission}"), ()):
            yield LookupResourcesResponse(resource_object_id=resource)

    def CheckBulkPermissions(self, request: Any, context: Any) -> Any:
        self._begin("CheckBulkPermissions", context)
        held = self._revisions[self._revision(request.consistency)].values()
        return CheckBulkPermissionsResponse(pairs=[_pair(item, list(held)) for item in request.items])

    # -------------------------------------------------------- what they share

    def _begin(self, name: str, context: Any) -> _Fault | None:
        self.asked.append(name)
        if dict(context.invocation_metadata()).get("authorization") != f"Bearer {KEY}":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "invalid preshared key: the key is wrong")
        fault = self._faults.get(name)
        if fault is None or not fault.times:
            return None
        fault.times -= 1
        if not fault.after and not fault.done:
            context.abort(fault.code, "not now")
        return fault

    def _require_newer(self, context: Any) -> None:
        if self.only_older:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method")

    def _revision(self, consistency: Any) -> int:
        return int(consistency.at_exact_snapshot.token or len(self._revisions) - 1)

    def _write(self, given: Iterable[Relationship]) -> None:
        new = {each.SerializeToString(deterministic=True): each for each in given}
        self._revisions.append({**self._revisions[-1], **new})


def _lasts(found: Relationship, now: datetime) -> bool:
    return not found.HasField("optional_expires_at") or found.optional_expires_at.ToDatetime(timezone.utc) > now


def _pair(item: Any, held: list[Relationship]) -> Any:
    mine = [each for each in held if (each.resource, each.subject) == (item.resource, item.subject)]
    own = [each for each in mine if item.permission in ("read", each.relation)]
    names = CheckPermissionResponse.Permissionship
    answer = names.PERMISSIONSHIP_NO_PERMISSION
    if own:
        conditional = own[0].HasField("optional_caveat")
        answer = names.PERMISSIONSHIP_CONDITIONAL_PERMISSION if conditional else names.PERMISSIONSHIP_HAS_PERMISSION
    return CheckBulkPermissionsPair(item=CheckBulkPermissionsResponseItem(permissionship=answer))


def _older(server: SpiceDBServer) -> Any:
    """The bulk requests under their older names."""
    handlers: dict[str, Any] = {
        "BulkExportRelationships": grpc.unary_stream_rpc_method_handler(
            server.export, older.BulkExportRelationshipsRequest.FromString, lambda each: each.SerializeToString()
        ),
        "BulkImportRelationships": grpc.stream_unary_rpc_method_handler(
            server.load, older.BulkImportRelationshipsRequest.FromString, lambda each: each.SerializeToString()
        ),
    }
    return grpc.method_handlers_generic_handler("authzed.api.v1.ExperimentalService", handlers)
