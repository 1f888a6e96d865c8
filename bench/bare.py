"""The baseline: the objects of some SpiceDBs as plain ApiObjects of cdk8s, which is the least that cdk8s can do."""

import json
import sys

from cdk8s import ApiObject, App, Chart, JsonPatch

app = App()
with open(sys.argv[1], encoding="utf-8") as file:
    charts = json.load(file)
for number, objects in enumerate(charts):
    chart = Chart(app, f"chart-{number}")
    for index, found in enumerate(objects):
        fields = {name: value for name, value in found.items() if name not in ("apiVersion", "kind", "metadata")}
        added = ApiObject(
            chart, f"object-{index}", api_version=found["apiVersion"], kind=found["kind"], metadata=found["metadata"]
        )
        added.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
app.synth()
