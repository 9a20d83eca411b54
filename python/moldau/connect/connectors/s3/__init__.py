"""The S3 sink: records of topics become objects in a bucket or a folder; `docs/internals/connect-s3.md`."""
