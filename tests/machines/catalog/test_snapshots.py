"""A snapshot id once handed out shows the same rows and the same model for ever."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.deployments import Direct, Http, opened, processes, serving
from tests.machines.catalog.walk import Walk, check_again, start


def alone(folder, address, seed, steps):
    """One walk; the live catalog shows at every step what its newest snapshot shows, now and later."""
    with opened(folder, address) as server:
        caller = Direct(server)
        made = Walk(caller, start(caller), seed)
        made.note()
        for _ in range(steps):
            made.step()
            made.note()
            assert made.shown() == made.seen[-1][1]
        check_again(caller, made.base, [made])


@pytest.mark.parametrize("seed", range(4))
def test_one_walk(tmp_path, address, seed):
    alone(tmp_path / "lab", address, seed, 30)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_one_long_walk(tmp_path, address, seed):
    alone(tmp_path / "lab", address, seed, 120)


def walk(caller, base, seed, steps):
    made = Walk(caller, base, seed)
    for _ in range(steps):
        made.step()
        made.note()
    return made.seen, made.busy


def _walk_embedded(folder, address, base, seed, steps):
    with opened(folder, address) as server:
        return walk(Direct(server), base, seed, steps)


def together(folder, address, walkers, steps):
    """Several walk in one catalog, half of them over HTTP and half in processes of their own."""
    with serving(folder, address) as server, ThreadPoolExecutor(walkers) as threads:
        http = Http(server.url)
        base = start(http)
        jobs = [threads.submit(walk, http, base, seed, steps) for seed in range(walkers // 2)]
        context = processes.Pool(walkers // 2)
        with context as pool:
            parts = [(folder, address, base, seed, steps) for seed in range(walkers // 2, walkers)]
            found = pool.starmap(_walk_embedded, parts) + [job.result() for job in jobs]
        walks = [Walk(http, base, seed) for seed in range(walkers)]
        for made, (seen, _) in zip(walks, found, strict=True):
            made.seen = seen
        count = check_again(http, base, walks)
    with serving(folder, address) as server:
        assert check_again(Http(server.url), base, walks) == count
    print(f"{walkers} walkers, {count} snapshots, {sum(busy for _, busy in found)} answered 503")
    return count


def test_a_few_walk_together(tmp_path, address):
    assert together(tmp_path / "lab", address, 4, 12) > 30


@pytest.mark.soak
def test_many_walk_together(tmp_path, address):
    assert together(tmp_path / "lab", address, 12, 100) > 500
