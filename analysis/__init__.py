"""A dump in, a Report out. Knows nothing of Slack, HTTP, SQL or templates."""


def failure_id_hash(bucket: str, mode: str = "km") -> str:
    """WinDbg's FAILURE_ID_HASH of a bucket text, for kernel mode ("km") or user mode ("um")."""
    from analysis.verdict.bucket import failure_id_hash as compute

    return compute(bucket, mode)
