"""How far a job is, from the files of its folder alone."""

from __future__ import annotations

import collections
from typing import Any

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.store import claims, records
from nanobragg.engine.batch.store import folder as places


def status(job: Job) -> dict[str, Any]:
    """Shards and images by state, who is at work, and how fast it went."""
    recorded = records.recorded(job)
    done = {shard: record for shard in recorded if (record := records.finished_record(job, shard))}
    aside = records.aside(job)
    damaged = sorted(recorded - set(done))
    at_work = [
        {"shard": claim.shard, "host": claim.host, "pid": claim.pid, "alive": claims.owner_is_alive(job, claim)}
        for claim in claims.claims(job)
        if claim.shard not in done
    ]
    begun = {place["shard"] for place in at_work if place["alive"] is not False}
    there = set(places.names(job.output))
    partial = [n for n in range(job.shards) if n not in done and places.partial(n) in there]
    images = sum(job.shard(n).images for n in done)
    seconds = sum(record.seconds for record in done.values())
    return {
        "job": job.digest, "output": job.output, "images": job.images, "images_done": images,
        "shards": job.shards, "shards_done": len(done), "shards_to_do": job.shards - len(done) - len(aside),
        "shards_at_work": sorted(begun), "shards_stopped": partial, "shards_damaged": damaged,
        "set_aside": {str(n): why for n, why in aside.items()}, "claims": at_work,
        "seconds_per_image": seconds / images if images else None,
        "backends": dict(collections.Counter(record.backend for record in done.values())),
        "hosts": dict(collections.Counter(record.host for record in done.values())),
    }  # fmt: skip


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    text = [
        f"{found['output']}: job {found['job'][:12]}",
        f"{found['images_done']} of {found['images']} images, {found['shards_done']} of {found['shards']} shards",
    ]
    if found["seconds_per_image"]:
        by = ", ".join(f"{count} by {name}" for name, count in found["backends"].items())
        on = ", ".join(f"{count} on {name}" for name, count in found["hosts"].items())
        text.append(f"{found['seconds_per_image']:.3g} s an image and worker; shards: {by}; {on}")
    for claim in found["claims"]:
        state = {True: "at work", False: "died", None: "at work, or died (another machine)"}[claim["alive"]]
        text.append(f"shard {claim['shard']}: {state}: process {claim['pid']} on {claim['host']}")
    text += [f"shard {n}: stopped between two images; the next run goes on from there" for n in found["shards_stopped"]]
    text += [f"shard {n}: its files are damaged; the next run renders it again" for n in found["shards_damaged"]]
    text += [f"shard {n}: set aside: {why}" for n, why in found["set_aside"].items()]
    return text
