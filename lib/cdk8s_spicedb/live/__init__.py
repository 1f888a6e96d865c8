"""Commands on a live cluster, as functions. They need the extra ``live``: ``pip install 'cdk8s-spicedb[live]'``."""
