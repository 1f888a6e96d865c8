"""An application and its SpiceDB, in one chart of cdk8s-plus objects, for `kubectl apply`."""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObject, App, Chart, JsonPatch

from cdk8s_spicedb import Delivery, PostgreSQL, ServerProps, SpiceDB, SpiceDBProps

# Writes a schema and a relationship, then checks a permission once a second. It is ready while the answer is yes.
ASK = r"""
ask() { wget -q -O - --header "Authorization: Bearer $SPICEDB_TOKEN" --post-data "$2" "http://$SPICEDB_HTTP/v1/$1"; }
object='{"objectType":"document","objectId":"plan"}'
subject='{"object":{"objectType":"user","objectId":"ada"}}'
schema='definition user {}\ndefinition document {\n  relation reader: user\n}'
until ask schema/write "{\"schema\":\"$schema\"}"; do sleep 1; done
tuple="{\"resource\":$object,\"relation\":\"reader\",\"subject\":$subject}"
ask relationships/write "{\"updates\":[{\"operation\":\"OPERATION_TOUCH\",\"relationship\":$tuple}]}"
question="{\"consistency\":{\"fullyConsistent\":true},\"resource\":$object,\"permission\":\"reader\",\"subject\":$subject}"
while true; do
    if ask permissions/check "$question" | grep -q HAS_PERMISSION; then touch /tmp/ready; else rm -f /tmp/ready; fi
    sleep 1
done
"""

app = App()
chart = Chart(app, "documents")

# The Secret is not a part of the app: its values belong into no file.
secret = kplus.Secret.from_secret_name(chart, "secret", "spicedb")
spicedb = SpiceDB(
    chart,
    "spicedb",
    SpiceDBProps(
        version="v1.57.1",
        delivery=Delivery.KUBECTL,
        datastore=PostgreSQL(uri=kplus.SecretValue(secret=secret, key="datastore-uri")),
        preshared_key=kplus.SecretValue(secret=secret, key="preshared-key"),
        server=ServerProps(http_enabled=True, headless_service=True),
    ),
)

web = kplus.Deployment(
    chart,
    "web",
    replicas=1,
    security_context=kplus.PodSecurityContextProps(user=65532, group=65532, fs_group=65532),
    containers=[
        kplus.ContainerProps(
            name="web",
            image="docker.io/library/busybox:1.37",
            image_pull_policy=kplus.ImagePullPolicy.IF_NOT_PRESENT,
            command=["sh", "-c", ASK],
            env_variables={
                **spicedb.client_env(),
                "SPICEDB_HTTP": kplus.EnvValue.from_value(spicedb.http_address or ""),
            },
            readiness=kplus.Probe.from_command(["test", "-e", "/tmp/ready"]),
            resources=kplus.ContainerResources(
                cpu=kplus.CpuResources(request=kplus.Cpu.millis(10), limit=kplus.Cpu.millis(500)),
            ),
            security_context=kplus.ContainerSecurityContextProps(read_only_root_filesystem=False),
        )
    ],
)
# The restricted Pod Security Standard requires these fields, and cdk8s-plus has no props for them.
POD = "/spec/template/spec"
ApiObject.of(web).add_json_patch(
    JsonPatch.add(f"{POD}/securityContext/seccompProfile", {"type": "RuntimeDefault"}),
    JsonPatch.add(f"{POD}/containers/0/securityContext/capabilities", {"drop": ["ALL"]}),
)

# If the cluster enforces NetworkPolicies, the application can only connect to DNS and SpiceDB.
dns = kplus.Pods.all(chart, "dns", namespaces=kplus.Namespaces.all(chart, "namespaces"))
clients = [kplus.NetworkPolicyPort.tcp(port) for port in spicedb.client_ports]
names = [kplus.NetworkPolicyPort.tcp(53), kplus.NetworkPolicyPort.udp(53)]
policy = kplus.NetworkPolicy(chart, "web-policy", selector=web)
policy.add_egress_rule(spicedb.pods, clients)
policy.add_egress_rule(dns, names)

app.synth()
