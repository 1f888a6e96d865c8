"""What ``cdk8s-spicedb check`` looks at: one module for each subject. None of them changes the release."""
