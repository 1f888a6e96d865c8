"""Several SpiceDBs in one app, each in its own chart."""

import sys

from cdk8s import App

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
for number in range(int(sys.argv[1])):
    props = SpiceDBProps(version="v1.56.0", datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")))
    SpiceDBChart(app, f"chart-{number}", props)
app.synth()
